/* What the dashboard knows of devices: which exist, what is wrong with whom, and which of them are
 * searched for. Pure functions of `hass`, without a page.
 */

export const DOMAIN = "balena_supervisor";

// Up to this many devices have a card each.
export const FEW = 6;
// With more devices, the overview has one list that can be searched, and fleets have their own views.
export const MANY = 48;

const ONLINE = "binary_sensor.online";
const OVERALL_STATUS = "sensor.overall_status";
const STATUS = "sensor.status";
const SERVICE_STATUS = "sensor.service_status";
const SERVICE_SWITCH = "switch.running";
const UPDATE = "update.release";
const LAST_SEEN = "sensor.last_seen";

// How a device is, from worst to best.
export const LEVELS = ["error", "warning", "limited", "busy", "unknown", "ok"];
const IN_TROUBLE = ["error", "warning"];

// Statuses of a device that is offline for a known reason.
const EXPECTED_OFFLINE = ["rebooting", "shutting_down", "updating"];
// The problems that *Online* lists, as in device/problems.py, and the sensors that tell them if it is hidden.
const PROBLEM_SENSORS = {
  update_failed: "binary_sensor.update_failed",
  update_locked: "binary_sensor.update_locked",
  supervisor_problem: "binary_sensor.supervisor_problem",
  undervoltage: "binary_sensor.undervoltage",
};
// Levels by the status of a device that is online. Every other status means that it is busy.
const STATUS_LEVELS = {
  operational: "ok",
  idle: "ok",
  running: "ok",
  reduced_functionality: "limited",
  aborted: "limited",
  dead: "limited",
  exited: "limited",
  stopped: "limited",
  paused: "limited",
  inactive: "unknown",
  disconnected: "unknown",
};
// Statuses of a service that does not run, for a service without a switch.
const STOPPED = ["dead", "exited"];
const WATCHED = [
  ONLINE,
  OVERALL_STATUS,
  STATUS,
  UPDATE,
  LAST_SEEN,
  ...Object.values(PROBLEM_SENSORS),
];
const NO_STATE = [undefined, "unavailable", "unknown"];

// Devices and fleets

let known = {};

/** Return the fleets and the devices. Cached until the registries change. */
export function inventory(hass) {
  if (known.of?.entities !== hass.entities || known.of?.devices !== hass.devices) {
    known = { of: { entities: hass.entities, devices: hass.devices }, ...take(hass) };
  }
  return known;
}

function take(hass) {
  const byDevice = new Map();
  for (const entity of Object.values(hass.entities)) {
    if (entity.platform === DOMAIN && !entity.hidden && hass.devices[entity.device_id]) {
      if (!byDevice.has(entity.device_id)) {
        byDevice.set(entity.device_id, {});
      }
      byDevice.get(entity.device_id)[keyOf(entity)] = entity.entity_id;
    }
  }
  const items = new Map();
  const item = (id) => {
    if (!items.has(id)) {
      const { name_by_user: own, via_device_id: via } = hass.devices[id];
      const entities = byDevice.get(id) ?? {};
      items.set(id, { id, name: own || defaultName(hass, id), entities, fleet: via, services: [] });
    }
    return items.get(id);
  };
  const fleets = new Set();
  const devices = new Set();
  const add = (device) => {
    devices.add(device);
    // All entities of the fleet may be hidden, or all entities of a service's device.
    if (hass.devices[device.fleet]) {
      const fleet = item(device.fleet);
      fleets.add(fleet);
      device.fleetName = fleet.name;
    }
  };
  for (const id of byDevice.keys()) {
    const { entry_type: type, parent_device_id: parent } = hass.devices[id];
    if (type === "service") {
      fleets.add(item(id));
    } else if (!parent) {
      add(item(id));
    } else if (hass.devices[parent]) {
      add(item(parent));
      item(parent).services.push(item(id));
    }
  }
  const { compare } = new Intl.Collator(hass.language, { numeric: true });
  const sorted = (list) => [...list].sort((a, b) => compare(a.name, b.name));
  for (const device of devices) {
    device.services = sorted(device.services);
  }
  return { fleets: sorted(fleets), devices: sorted(devices) };
}

/** Return the name of a device or a service. Before 2026.10, that of a service begins with its device. */
function defaultName(hass, id) {
  const { name, parent_device_id: parent } = hass.devices[id];
  const prefix = `${hass.devices[parent]?.name} `;
  return (name?.startsWith(prefix) ? name.slice(prefix.length) : name) || id;
}

function keyOf({ entity_id: id, translation_key: key }) {
  // The identify button has no translation key, because Home Assistant names it.
  return `${id.slice(0, id.indexOf("."))}.${key ?? "identify"}`;
}

/** Return the selected fleets and devices. A fleet stands for all of its devices. */
export function chosen(hass, { device_id: ids }) {
  const { fleets, devices } = inventory(hass);
  if (!ids?.length) {
    return { fleets, devices };
  }
  const wanted = new Set([ids].flat());
  return {
    fleets: fleets.filter(({ id }) => wanted.has(id)),
    devices: devices.filter(({ id, fleet }) => wanted.has(id) || wanted.has(fleet)),
  };
}

/** Return the devices of a fleet, or the devices without a fleet if it is undefined. */
export function members({ fleets, devices }, fleet) {
  const ids = new Set(fleets.map(({ id }) => id));
  return devices.filter((device) => (fleet ? device.fleet === fleet.id : !ids.has(device.fleet)));
}

/** Return the devices grouped by fleet, then the devices without a fleet. */
export function grouped(found) {
  return [...found.fleets, undefined]
    .map((fleet) => ({ fleet, devices: members(found, fleet) }))
    .filter(({ fleet, devices }) => fleet || devices.length);
}

// What is wrong with whom

const stateOf = (states, { entities }, key) => states[entities[key]]?.state;
const attributesOf = (states, { entities }, key) => states[entities[key]]?.attributes ?? {};

/** Return how a device is connected: "online", "offline", "unavailable" or "unknown". */
function connectionOf(device, states) {
  const online = stateOf(states, device, ONLINE);
  const overall = stateOf(states, device, OVERALL_STATUS);
  const other = overall ?? stateOf(states, device, STATUS);
  if (online === "unavailable" || (online === undefined && other === "unavailable")) {
    return "unavailable";
  }
  // The other entities of a device that is offline are unavailable, whatever its status is.
  const isSilent = !NO_STATE.includes(overall) && stateOf(states, device, UPDATE) === "unavailable";
  const isAway = overall === "disconnected" || isSilent;
  if (online === "off" || (online === undefined && isAway)) {
    return "offline";
  }
  return online === "on" || (online === undefined && other !== undefined) ? "online" : "unknown";
}

/** Return whether a service stopped by itself. */
export function isStopped(service, states) {
  const running = states[service.entities[SERVICE_SWITCH]];
  return running
    ? running.attributes?.stopped_by_itself === true
    : STOPPED.includes(stateOf(states, service, SERVICE_STATUS));
}

/** Return the status of a service. Without its sensor, the switch tells whether it runs. */
export function serviceStatus(service, states) {
  const status = stateOf(states, service, SERVICE_STATUS);
  const running = stateOf(states, service, SERVICE_SWITCH);
  return status ?? { on: "running", off: "stopped" }[running] ?? running;
}

/**
 * Return how a device is: its connection, its level, its problems, and what describes it if there is no problem:
 * the `status` of a device that leaves, or the state of an `entity`. A problem has a `kind`, and the `service` that stopped.
 *
 * A device that is offline has no other problem, because its state is outdated.
 */
export function conditionOf(device, states) {
  const connection = connectionOf(device, states);
  return { connection, ...judge(device, states, connection) };
}

/** Return the problems of a device that is online. */
function problemsOf(device, states) {
  const { problems: listed = [] } = attributesOf(states, device, ONLINE);
  const kinds = Object.entries(PROBLEM_SENSORS)
    .filter(([kind, key]) => listed.includes(kind) || stateOf(states, device, key) === "on")
    .map(([kind]) => ({ kind }));
  const services = device.services
    .filter((service) => isStopped(service, states))
    .map((service) => ({ kind: "service_stopped", service }));
  // The entities that tell which service it is may be disabled.
  const isUnnamed = listed.includes("service_stopped") && !services.length;
  return [...kinds, ...services, ...(isUnnamed ? [{ kind: "a_service_stopped" }] : [])];
}

function judge(device, states, connection) {
  // An account has the sensor only with all entities. *Online* has the statuses of a device that leaves.
  const { status = stateOf(states, device, STATUS) } = attributesOf(states, device, ONLINE);
  const telling = [OVERALL_STATUS, STATUS].find(
    (key) => !NO_STATE.includes(stateOf(states, device, key)),
  );
  const entity = device.entities[telling];
  if (connection === "unavailable") {
    return { level: "error", problems: [{ kind: "unavailable" }] };
  }
  if (connection === "offline") {
    return EXPECTED_OFFLINE.includes(status)
      ? { level: "busy", problems: [], status }
      : { level: "error", problems: [{ kind: "offline" }] };
  }
  if (connection === "unknown") {
    return { level: "unknown", problems: [] };
  }
  const problems = problemsOf(device, states);
  if (problems.length) {
    return { level: "warning", problems, entity };
  }
  if (EXPECTED_OFFLINE.includes(status)) {
    return { level: "busy", problems, status };
  }
  const level = entity ? (STATUS_LEVELS[states[entity].state] ?? "busy") : "ok";
  return { level, problems, entity };
}

export const needsAttention = ({ level }) => IN_TROUBLE.includes(level);

/** Return when the connectivity of a device changed, or undefined if nobody knows. */
export function lastChange(device, states) {
  const seen = stateOf(states, device, LAST_SEEN);
  // Home Assistant may have started after the device went offline. The sensor has the real time.
  const time = NO_STATE.includes(seen) ? states[device.entities[ONLINE]]?.last_changed : seen;
  return time && !Number.isNaN(Date.parse(time)) ? new Date(time) : undefined;
}

/** Return the releases of a device, and its update. */
export function updateOf(device, states) {
  const update = states[device.entities[UPDATE]];
  const { installed_version: installed, latest_version: latest } = update?.attributes ?? {};
  return {
    entity: device.entities[UPDATE],
    installed: installed ?? undefined,
    latest: latest ?? undefined,
    isAvailable: update?.state === "on",
    isInstalling: Boolean(update?.attributes?.in_progress),
    percentage: update?.attributes?.update_percentage ?? undefined,
  };
}

/** Return the tags of a device as `name: value`. */
export function tagsOf(device, states) {
  const { tags = {} } = attributesOf(states, device, ONLINE);
  return Object.entries(tags).map(([name, value]) => (value ? `${name}: ${value}` : name));
}

// The entities of each device of the inventory.
const watchedOf = new WeakMap();

/** Return the entities that decide what is shown of a device. */
export function watched(device) {
  if (!watchedOf.has(device)) {
    watchedOf.set(device, findWatched(device));
  }
  return watchedOf.get(device);
}

function findWatched(device) {
  return [
    ...WATCHED.map((key) => device.entities[key]),
    ...device.services.flatMap(({ entities }) => [
      entities[SERVICE_SWITCH],
      entities[SERVICE_STATUS],
    ]),
  ].filter(Boolean);
}

// The entities of lists of devices. The cards of a page mostly have the same list.
const watchedOfAll = new WeakMap();

/** Return the entities that decide what is shown of some devices. */
export function allWatched(devices) {
  if (!watchedOfAll.has(devices)) {
    watchedOfAll.set(devices, devices.flatMap(watched));
  }
  return watchedOfAll.get(devices);
}

let comparison = {};

/** Return what `isChanged` does. The cards of a page ask the same, so the last answer is kept. */
export function isAnyChanged(entityIds, before, states) {
  const { entityIds: ids, before: since, states: until } = comparison;
  if (ids !== entityIds || since !== before || until !== states) {
    comparison = { entityIds, before, states, answer: isChanged(entityIds, before, states) };
  }
  return comparison.answer;
}

/** Return whether one of the entities changed between two states of Home Assistant. */
export function isChanged(entityIds, before, states) {
  return before !== states && entityIds.some((id) => before[id] !== states[id]);
}

// What keeps the integration from working

// Repairs that say why an entry cannot read its devices.
const EXPLAIN = ["address_taken", "right_lost"];

/**
 * Return the repairs of refused keys, the other repairs, and the failures of entries. Those begin with the first
 * failed poll; Home Assistant asks for a key only a minute later.
 */
export async function loadNotices(hass) {
  const [{ issues }, failures] = await Promise.all([
    hass.callWS({ type: "repairs/list_issues" }),
    hass.callWS({ type: `${DOMAIN}/failures` }),
  ]);
  const ours = issues.filter(
    ({ domain, issue_domain: about, ignored }) => !ignored && [domain, about].includes(DOMAIN),
  );
  const isRefused = ({ translation_key: key }) => key === "config_entry_reauth";
  const refused = ours.filter(isRefused);
  // When a device refuses its key, another one may have its address. The form for a new key says so, too.
  const isKnown = ({ issue_id: id, translation_key: key }) =>
    key === "address_taken" &&
    refused.some((issue) => issue.issue_id.endsWith(id.slice(key.length)));
  const explained = ours.filter(
    (issue) => isRefused(issue) || EXPLAIN.includes(issue.translation_key),
  );
  return {
    refused,
    repairs: ours.filter((issue) => !isRefused(issue) && !isKnown(issue)),
    failures: failures.filter(
      ({ entry_id: entry }) => !explained.some((issue) => issue.issue_id.includes(entry)),
    ),
  };
}

/** Return whether a repair or a failure is about a device or its whole account. */
export function isAbout(notice, hass, device) {
  const { entry_id: about, issue_id: id = about, translation_placeholders: values } = notice;
  const { config_entry_id: entry, primary_config_entry: earlier } = hass.devices[device.id];
  // An invisible character keeps names from being Markdown.
  const names = values?.devices?.replaceAll("\u2060", "");
  return id.includes(entry ?? earlier) && (names === undefined || names.includes(device.name));
}

// Search, filters and pages

/** Return how many devices have each level. */
export function countLevels(conditions) {
  const counts = Object.fromEntries(LEVELS.map((level) => [level, 0]));
  for (const { level } of conditions) {
    counts[level] += 1;
  }
  return counts;
}

// The choices of a filter by status, with what they match.
export const STATUS_FILTERS = {
  attention: needsAttention,
  offline: ({ problems }) =>
    problems.some(({ kind }) => kind === "offline" || kind === "unavailable"),
  busy: ({ level }) => level === "busy",
  ok: ({ level }) => level === "ok",
};

/** Return the rows that match all words of a search and all filters. An empty filter matches all. */
export function search(rows, { query = "", fleet = "", status = "", tag = "" }) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(
    ({ device, condition, tags, texts }) =>
      (!fleet || device.fleet === fleet) &&
      (!status || STATUS_FILTERS[status](condition)) &&
      (!tag || tags.includes(tag)) &&
      words.every((word) => texts().includes(word)),
  );
}

// The row of each device of the inventory, with the states for which it is right. The cards of a page share them.
const rowsOf = new WeakMap();

/** Return the row of a device in the list. It is made again only if the device changed. */
export function rowOf(device, states) {
  const known = rowsOf.get(device);
  if (!known || isChanged(watched(device), known.states, states)) {
    const row = makeRow(device, states);
    rowsOf.set(device, { row, states });
    return row;
  }
  known.states = states;
  return known.row;
}

/** Return a device, how it is, and the texts in which a search looks. */
function makeRow(device, states) {
  const tags = tagsOf(device, states);
  const { installed, latest } = updateOf(device, states);
  const texts = () => {
    const services = device.services.map(({ name }) => name);
    const all = [device.name, device.fleetName, installed, latest, ...tags, ...services];
    return all.filter(Boolean).join("\n").toLowerCase();
  };
  return { device, condition: conditionOf(device, states), tags, texts };
}

/** Return one page of a list. `page` begins at 0, and is at most the last page. */
export function pageOf(rows, page, size) {
  const pages = Math.max(1, Math.ceil(rows.length / size));
  const shown = Math.min(Math.max(page, 0), pages - 1);
  const begin = shown * size;
  return { page: shown, pages, begin, rows: rows.slice(begin, begin + size) };
}

/** Return all tags of some rows in alphabetical order, at most `limit`. */
export function allTags(rows, language, limit = 200) {
  const { compare } = new Intl.Collator(language, { numeric: true });
  return [...new Set(rows.flatMap(({ tags }) => tags))].sort(compare).slice(0, limit);
}

// Times

const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** Return a time as people say it, like "3 hours ago". Cards show it for a minute, so it has no seconds. */
export function relativeTime(time, now, language) {
  const seconds = Math.round((time - now) / 1000);
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 60];
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  // Zero seconds are "now".
  return format.format(Math.trunc(seconds / length), unit);
}
