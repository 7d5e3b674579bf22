/* What the dashboard knows of devices: which exist, what is wrong with whom, and which of them are
 * searched for. Pure functions of `hass`, without a page.
 */

export const DOMAIN = "balena_supervisor";

// Up to this many devices have a card each.
export const FEW = 6;
// With more devices, the overview has one list that can be searched, and fleets have their own views.
export const MANY = 48;

// As balena's dashboard shows it.
const UUID_LENGTH = 7;

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
const SERVICE_STOPPED = "service_stopped";
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

/** Return the fleets and the devices. Kept until the registries change. */
export function inventory(hass) {
  if (known.of?.entities !== hass.entities || known.of?.devices !== hass.devices) {
    known = { of: { entities: hass.entities, devices: hass.devices }, ...take(hass) };
  }
  return known;
}

/** Return a function that makes a value of an object once, and keeps it as long as the object. */
function kept(makeValue) {
  const values = new WeakMap();
  return (object) => {
    if (!values.has(object)) {
      values.set(object, makeValue(object));
    }
    return values.get(object);
  };
}

function take(hass) {
  const byDevice = new Map();
  for (const entity of Object.values(hass.entities)) {
    if (entity.platform === DOMAIN && !entity.hidden && hass.devices[entity.device_id]) {
      if (!byDevice.has(entity.device_id)) {
        byDevice.set(entity.device_id, {});
      }
      byDevice.get(entity.device_id)[entityKey(entity)] = entity.entity_id;
    }
  }
  const items = new Map();
  const item = (id) => {
    if (!items.has(id)) {
      const { name_by_user: own, via_device_id: via } = hass.devices[id];
      const entities = byDevice.get(id) ?? {};
      const name = own || defaultName(hass, id);
      const names = { name, givenName: name, hasNamesake: false };
      items.set(id, { id, ...names, entities, fleet: via, services: [] });
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
  if (new Set([...devices].map(({ givenName }) => givenName)).size < devices.size) {
    distinguish(hass, devices);
  }
  const { compare } = new Intl.Collator(hass.language, { numeric: true });
  const sorted = (list) => [...list].sort((a, b) => compare(a.name, b.name));
  for (const device of devices) {
    device.services = sorted(device.services);
  }
  return { fleets: sorted(fleets), devices: sorted(devices) };
}

/** Let devices with the same name differ: by their fleet, or by the beginning of their UUID within a fleet. */
function distinguish(hass, devices) {
  const byName = new Map();
  for (const device of devices) {
    append(byName, device.givenName, device);
  }
  for (const [name, namesakes] of byName) {
    for (const device of namesakes.length > 1 ? namesakes : []) {
      const { serial_number: uuid } = hass.devices[device.id];
      const isAlone = namesakes.filter(({ fleet }) => fleet === device.fleet).length === 1;
      device.hasNamesake = true;
      device.name = isAlone || !uuid ? name : `${name} (${uuid.slice(0, UUID_LENGTH)})`;
    }
  }
}

/** Add a value to the list of a key. */
function append(lists, key, value) {
  const list = lists.get(key);
  if (list) {
    list.push(value);
  } else {
    lists.set(key, [value]);
  }
}

/** Return the name of a device or a service. Before 2026.10, that of a service begins with its device. */
function defaultName(hass, id) {
  const { name, parent_device_id: parent } = hass.devices[id];
  const prefix = `${hass.devices[parent]?.name} `;
  return (name?.startsWith(prefix) ? name.slice(prefix.length) : name) || id;
}

function entityKey({ entity_id: id, translation_key: key }) {
  // The identify button has no translation key, because Home Assistant names it.
  return `${id.slice(0, id.indexOf("."))}.${key ?? "identify"}`;
}

// The selections from each inventory, so that the cards of a page share the same lists.
const selections = kept(() => new Map());

/** Return the selected fleets and devices. A fleet stands for all of its devices. */
export function chosen(hass, { device_id: ids }) {
  const all = inventory(hass);
  if (!ids?.length) {
    return all;
  }
  const known = selections(all);
  const key = String(ids);
  if (!known.has(key)) {
    const wanted = new Set([ids].flat());
    known.set(key, {
      fleets: all.fleets.filter(({ id }) => wanted.has(id)),
      devices: all.devices.filter(({ id, fleet }) => wanted.has(id) || wanted.has(fleet)),
    });
  }
  return known.get(key);
}

// The devices of each fleet of a selection. The devices without a fleet are those of `undefined`.
const groups = kept(({ fleets, devices }) => {
  const ids = new Set(fleets.map(({ id }) => id));
  const byFleet = new Map();
  for (const device of devices) {
    append(byFleet, ids.has(device.fleet) ? device.fleet : undefined, device);
  }
  return byFleet;
});

/** Return the devices of a fleet, or the devices without a fleet if it is undefined. */
export function members(found, fleet) {
  return groups(found).get(fleet?.id) ?? [];
}

/** Return how many of some devices each fleet has, by its id. */
export function countByFleet(devices) {
  const counts = new Map();
  for (const { fleet } of devices) {
    counts.set(fleet, (counts.get(fleet) ?? 0) + 1);
  }
  return counts;
}

/** Return the devices grouped by fleet, then the devices without a fleet. */
export function grouped(found) {
  return [...found.fleets, undefined]
    .map((fleet) => ({ fleet, devices: members(found, fleet) }))
    .filter(({ fleet, devices }) => fleet || devices.length);
}

// What is wrong with whom

const hasOnline = ({ entities }) => entities[ONLINE] !== undefined;
const stateOf = (states, { entities }, key) => states[entities[key]]?.state;
const attributesOf = (states, { entities }, key) => states[entities[key]]?.attributes ?? {};

const CONNECTIONS = { on: "online", off: "offline", unavailable: "unavailable" };

/** Return how a device is connected: "online", "offline", "unavailable" or "unknown". */
function connectionOf(device, states) {
  const online = stateOf(states, device, ONLINE);
  return online === undefined
    ? guessConnection(device, states)
    : (CONNECTIONS[online] ?? "unknown");
}

/** Return how a device without *Online* is connected. */
function guessConnection(device, states) {
  const overall = stateOf(states, device, OVERALL_STATUS);
  const other = overall ?? stateOf(states, device, STATUS);
  if (other === undefined || other === "unavailable") {
    return other ?? "unknown";
  }
  // The other entities of a device that is offline are unavailable, whatever its status is.
  const isSilent = !NO_STATE.includes(overall) && stateOf(states, device, UPDATE) === "unavailable";
  return isSilent || overall === "disconnected" ? "offline" : "online";
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

/** Return the problems of a device that is online. *Online* lists them; without it, other entities tell them. */
function problemsOf(device, states) {
  const { problems: listed = [] } = attributesOf(states, device, ONLINE);
  const isListed = hasOnline(device);
  if (isListed && !listed.length) {
    return [];
  }
  const kinds = Object.entries(PROBLEM_SENSORS)
    .filter(([kind, key]) =>
      isListed ? listed.includes(kind) : stateOf(states, device, key) === "on",
    )
    .map(([kind]) => ({ kind }));
  const hasStopped = listed.includes(SERVICE_STOPPED);
  const services = (isListed && !hasStopped ? [] : device.services)
    .filter((service) => isStopped(service, states))
    .map((service) => ({ kind: SERVICE_STOPPED, service }));
  // The entities that tell which service it is may be disabled.
  const isUnnamed = hasStopped && !services.length;
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

// What changes

/** Return the entities that decide what is shown of a device. */
export const watched = kept(({ entities, services }) =>
  [
    ...WATCHED.map((key) => entities[key]),
    ...services.flatMap((service) => [
      service.entities[SERVICE_SWITCH],
      service.entities[SERVICE_STATUS],
    ]),
  ].filter(Boolean),
);

/** Return the entities that decide what is shown of some devices. */
export const allWatched = kept((devices) => devices.flatMap(watched));

/** Return the entities that decide whether some devices need attention. *Online* alone is enough for most. */
const allTelling = kept((devices) =>
  devices.flatMap((device) =>
    hasOnline(device)
      ? [ONLINE, STATUS].map((key) => device.entities[key]).filter(Boolean)
      : watched(device),
  ),
);

// The last states of the entities of each list, and how often one of them changed.
const latest = kept((ids) => ({ version: 0, each: ids.map(() => undefined) }));

/**
 * Return a number that is another one when one of the entities changed.
 *
 * Home Assistant has a new object with all states after each change of any state. The cards of a page
 * follow the same list, so that its states are compared once.
 */
export function versionOf(ids, states) {
  const known = latest(ids);
  if (known.states !== states) {
    known.states = states;
    let isChanged = false;
    for (let index = 0; index < ids.length; index += 1) {
      const state = states[ids[index]];
      if (known.each[index] !== state) {
        known.each[index] = state;
        isChanged = true;
      }
    }
    known.version += isChanged ? 1 : 0;
  }
  return known.version;
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
  return id.includes(entry ?? earlier) && (names === undefined || names.includes(device.givenName));
}

// Search, filters and pages

// The choices of a filter by status, with what they match.
export const STATUS_FILTERS = {
  attention: needsAttention,
  offline: ({ problems }) =>
    problems.some(({ kind }) => kind === "offline" || kind === "unavailable"),
  busy: ({ level }) => level === "busy",
  ok: ({ level }) => level === "ok",
};

/** Return whether any word or filter is set. */
export const isSearch = ({ query, fleet, status, tag }) =>
  Boolean(query?.trim() || fleet || status || tag);

/**
 * Return the devices that match all words of a search and all filters. An empty filter matches all. `describe` returns
 * the words for how a device is.
 */
export function search(
  devices,
  states,
  { query = "", fleet = "", status = "", tag = "" },
  describe = () => "",
) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const isFound = ({ device, condition, tags, texts }) =>
    (!fleet || device.fleet === fleet) &&
    (!status || STATUS_FILTERS[status](condition)) &&
    (!tag || tags.includes(tag)) &&
    words.every(
      (word) => texts().includes(word) || describe(condition).toLowerCase().includes(word),
    );
  return devices.filter((device) => isFound(rowOf(device, states)));
}

// What a list of devices needs to know of all of them.
const surveys = kept(() => ({}));
// Tags in the choices of a filter.
const MAX_TAGS = 200;

/**
 * Return which of some devices need attention, all tags, and the list of entities that decide this. Kept until
 * one of these changes, and shared by the cards of a page.
 */
export function surveyOf(devices, { language, states }) {
  const entities = allTelling(devices);
  const version = versionOf(entities, states);
  const survey = surveys(devices);
  if (survey.version !== version) {
    const inTrouble = devices.filter(
      (device) => !isFine(device, states) && needsAttention(conditionOf(device, states)),
    );
    const tags = allTags(devices, states, language);
    Object.assign(survey, { entities, inTrouble, tags, version });
  }
  return survey;
}

/** Return whether *Online* says that a device has no problem, which is true for most. */
function isFine({ entities }, states) {
  const online = states[entities[ONLINE]];
  return online?.state === "on" && !online.attributes.problems?.length;
}

/** Return all tags of some devices in alphabetical order. */
function allTags(devices, states, language) {
  const { compare } = new Intl.Collator(language, { numeric: true });
  const tags = new Set(devices.flatMap((device) => tagsOf(device, states)));
  return [...tags].sort(compare).slice(0, MAX_TAGS);
}

// The row of each device of the inventory. The cards of a page share them.
const rows = kept(() => ({}));

/** Return the row of a device in the list. It is made again only if the device changed. */
export function rowOf(device, states) {
  const known = rows(device);
  const version = versionOf(watched(device), states);
  if (known.version !== version) {
    Object.assign(known, { row: makeRow(device, states), version });
  }
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
export function pageOf(list, page, size) {
  const pages = Math.max(1, Math.ceil(list.length / size));
  const shown = Math.min(Math.max(page, 0), pages - 1);
  const begin = shown * size;
  return { page: shown, pages, begin, items: list.slice(begin, begin + size) };
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
