/* The views of the dashboard, as configuration of Home Assistant. Names of devices only go into texts.
 *
 * What changes with states is in our cards, which stay alive after somebody took control of the dashboard.
 */

const { search } = new URL(import.meta.url);
const [{ DOMAIN, FEW, MANY, chosen, grouped, inventory }, { textsOf }] = await Promise.all(
  ["dashboard-data.js", "dashboard-texts.js"].map((name) => import(`./${name}${search}`)),
);

const COLUMNS = 3;
const OVERVIEW = "overview";
// The layouts of the overview, by the number of devices.
const LAYOUTS = ["cards", "tiles", "list"];

const METRICS = {
  "sensor.cpu_usage": { features: [{ type: "bar-gauge" }] },
  "sensor.memory_usage": { features: [{ type: "bar-gauge" }] },
  "sensor.storage_usage": { features: [{ type: "bar-gauge" }] },
  "sensor.cpu_temperature": { features: [{ type: "trend-graph" }] },
};
const DETAILS = [
  "sensor.fleet",
  "select.release",
  "sensor.release",
  "sensor.target_release",
  "sensor.update_status",
  "sensor.download_progress",
  "sensor.os_version",
  "sensor.os_variant",
  "sensor.supervisor_version",
  "binary_sensor.supervisor_problem",
  "binary_sensor.vpn",
  "sensor.ip_address",
  "sensor.public_address",
  "sensor.hostname",
  "sensor.mac_address",
  "switch.public_url",
  "sensor.note",
];
const FEW_DETAILS = 4;
const HISTORY = ["sensor.overall_status", "sensor.status", "binary_sensor.online"];
const HOURS = 24;
// The height of cards in rows of Home Assistant. On a phone, the controls of the log card need more of them.
const ACTIVITY_ROWS = 5;
const LOG_ROWS = { narrow: 9, wide: 7 };
// The height of a row of the list of details, in these rows.
const DETAIL_ROW = 0.75;

const grid = (cards, more = {}) => ({ type: "grid", cards, ...more });
const heading = (text, icon, more = {}) => ({ type: "heading", heading: text, icon, ...more });
const goTo = (path) => ({ action: "navigate", navigation_path: path });
const deviceViewOf = ({ id }) => `device-${id}`;
const fleetViewOf = ({ fleet }) => `fleet-${fleet?.id ?? "none"}`;
const under = (head, cards) => (cards.length ? [head, ...cards] : []);

const devicesCard = (config, more) => ({
  type: "custom:balena-devices-card",
  ...(config.device_id?.length && { device_id: config.device_id }),
  views: true,
  grid_options: { columns: "full" },
  ...more,
});
const fullSection = (card) => grid([card], { column_span: COLUMNS });

/** Return how the overview shows this many devices. */
export function layoutOf({ layout }, count) {
  if (LAYOUTS.includes(layout)) {
    return layout;
  }
  return count <= FEW ? "cards" : count <= MANY ? "tiles" : "list";
}

const isAdmin = (hass) => Boolean(hass.user?.is_admin);

// The overview

const SECTIONS = { cards: cardSections, tiles: tileSections, list: listSections };

export async function overviewView(config, hass) {
  const found = chosen(hass, config);
  const layout = layoutOf(config, found.devices.length);
  const columns = layout === "cards" ? Math.min(COLUMNS, found.devices.length) : COLUMNS;
  return {
    type: "sections",
    max_columns: columns,
    sections: SECTIONS[layout](config, hass, found),
  };
}

/** Return a section per device. */
function cardSections({ logs }, hass, { devices }) {
  return devices.map(({ id }) => {
    const card = { type: "custom:balena-device-card", device_id: id, views: true };
    const lines = {
      type: "custom:balena-logs-card",
      device_id: id,
      title: "",
      compact: true,
      grid_options: { columns: 12, rows: 5 },
    };
    return grid(isAdmin(hass) && logs !== false ? [card, lines] : [card]);
  });
}

/** Return what needs attention, and a section per fleet. */
function tileSections(config, hass, found) {
  return [
    attentionSection(config),
    ...grouped(found)
      .filter(({ devices }) => devices.length)
      .map(({ fleet }) =>
        fullSection(devicesCard(config, found.fleets.length ? { fleet: fleet?.id ?? "" } : {})),
      ),
  ];
}

/** Return what needs attention, the fleets, and one list of all devices. */
function listSections(config, hass, { fleets }) {
  const summary = fullSection(devicesCard(config, { show: "fleets" }));
  return [
    attentionSection(config),
    ...(fleets.length ? [summary] : []),
    fullSection(devicesCard(config)),
  ];
}

export const attentionSection = (config) => fullSection(devicesCard(config, { show: "attention" }));
export const devicesSection = (config) =>
  fullSection(devicesCard(config, { fleet: config.fleet ?? "" }));

export function fleetView(config) {
  const fleet = config.fleet ?? "";
  const attention = fullSection(devicesCard(config, { fleet, show: "attention" }));
  return { type: "sections", max_columns: COLUMNS, sections: [attention, devicesSection(config)] };
}

// A device

export async function deviceView({ device_id: id }, hass) {
  const text = await textsOf(hass);
  const { devices } = inventory(hass);
  const device = devices.find((item) => item.id === id);
  if (!devices.length) {
    return nothing(hass);
  }
  if (!device) {
    return {
      type: "sections",
      sections: [grid([heading(text("gone"), "mdi:help-network-outline")])],
    };
  }
  const card = {
    type: "custom:balena-device-card",
    device_id: id,
    views: true,
    all_commands: true,
    grid_options: { columns: "full" },
  };
  const facts = [...metrics(device, text), ...details(device, text)];
  // A few facts fill the space below the short card of such a device. More are beside the activity.
  const [below, beside] = hasFewFacts(device) ? [facts, []] : [[], facts];
  const sections = [
    grid([card, ...below]),
    ...wide(logs(device, hass), LOG_ROWS.narrow, [{ rows: LOG_ROWS.wide }]),
    grid(beside),
    // Without facts beside it, the activity has the whole width.
    ...(beside.length
      ? wide(activity(device, hass, text), ACTIVITY_ROWS, activityRows(device))
      : [grid(activity(device, hass, text), { column_span: COLUMNS })]),
  ];
  return {
    type: "sections",
    max_columns: COLUMNS,
    dense_section_placement: true,
    sections: sections.filter(({ cards }) => cards.length),
  };
}

/**
 * Return a section that has two of three columns, or one of two. Its card has another height in both cases. If it has
 * several heights on a wide screen, each has the conditions under which it applies.
 *
 * Home Assistant would give it both of two columns. Cards that are not visible do nothing.
 */
function wide(cards, narrowRows, wideRows) {
  const when = (limit, heights) =>
    cards.flatMap(({ grid_options: options, ...card }) => {
      const columns = { condition: "view_columns", ...limit };
      return options?.rows
        ? heights.map(({ rows, conditions = [] }) => ({
            ...card,
            grid_options: { ...options, rows },
            visibility: [columns, ...conditions],
          }))
        : [{ ...card, ...(options && { grid_options: options }), visibility: [columns] }];
    });
  return [
    grid(when({ max: COLUMNS - 1 }, [{ rows: narrowRows }])),
    grid(when({ min: COLUMNS }, wideRows), { column_span: COLUMNS - 1 }),
  ];
}

/**
 * Return the heights of the activity, so that the metrics and details beside it leave no hole, with and without the
 * metrics: those of a device that is offline are hidden.
 */
function activityRows({ entities }) {
  const tiles = metricsOf(entities).length;
  const details = detailsOf(entities).length;
  const rowsWith = (count) => {
    const headings = count && details ? 1 : 0;
    const rows = 2 * Math.ceil(count / 2) + headings + (details + 1) * DETAIL_ROW;
    return Math.max(ACTIVITY_ROWS, Math.round(rows));
  };
  const hidden = { rows: rowsWith(0), conditions: noMetricKnown(entities) };
  return tiles
    ? [{ rows: rowsWith(tiles), conditions: [anyMetricKnown(entities)] }, hidden]
    : [hidden];
}

/** Return whether a device has no metrics, and so few details that they take little space. */
function hasFewFacts({ entities }) {
  return !metricsOf(entities).length && detailsOf(entities).length <= FEW_DETAILS;
}

/** Return the log card, which is for administrators only. */
function logs({ id }, hass) {
  const card = {
    type: "custom:balena-logs-card",
    device_id: id,
    grid_options: { columns: "full", rows: LOG_ROWS.wide },
  };
  return isAdmin(hass) ? [card] : [];
}

const UNKNOWN = ["unavailable", "unknown"];
const detailsOf = (entities) => DETAILS.filter((key) => entities[key]);
const metricsOf = (entities) => Object.entries(METRICS).filter(([key]) => entities[key]);
const isKnown = (entity) => ({ condition: "state", entity, state_not: UNKNOWN });
const anyMetricKnown = (entities) => ({
  condition: "or",
  conditions: metricsOf(entities).map(([key]) => isKnown(entities[key])),
});
const noMetricKnown = (entities) =>
  metricsOf(entities).map(([key]) => ({
    condition: "state",
    entity: entities[key],
    state: UNKNOWN,
  }));

/** Return the metrics, which only a device that is online has. */
function metrics({ entities }, text) {
  const tiles = metricsOf(entities).map(([key, more]) => ({
    type: "tile",
    entity: entities[key],
    name: { type: "entity" },
    visibility: [isKnown(entities[key])],
    ...more,
  }));
  const visibility = [anyMetricKnown(entities)];
  return under(heading(text("metrics"), "mdi:gauge", { visibility }), tiles);
}

function details({ entities }, text) {
  const rows = detailsOf(entities).map((key) => ({
    entity: entities[key],
    name: { type: "entity" },
  }));
  const card = { type: "entities", entities: rows, state_color: false };
  return under(heading(text("versions"), "mdi:tag-outline"), rows.length ? [card] : []);
}

/** Return what happened to the device. A list is not empty on the first day, as a graph would be. */
function activity({ id, entities, services }, hass, text) {
  const has = (component) => hass.config?.components?.includes(component);
  const shown = HISTORY.filter((key) => entities[key]).map((key) => ({
    entity: entities[key],
    name: { type: "entity" },
  }));
  const grid_options = { columns: "full", rows: ACTIVITY_ROWS };
  const cards = [];
  if (has("logbook")) {
    const target = { device_id: [id, ...services.map((service) => service.id)] };
    cards.push({ type: "logbook", target, hours_to_show: HOURS, grid_options });
  } else if (has("history") && shown.length) {
    cards.push({
      type: "history-graph",
      hours_to_show: HOURS,
      entities: shown,
      grid_options: { columns: "full" },
    });
  }
  return under(heading(text("history"), "mdi:timeline-clock-outline"), cards);
}

// The dashboard

// The paths of the views that a dashboard had in this page of the browser, by its devices.
const places = new Map();

/** Return the path of the open view if it is the page of a device or a fleet. */
function openPath() {
  const path = globalThis.location?.pathname.split("/").pop();
  return /^(device|fleet)-./.test(path) ? [path] : [];
}

/** Return the view of a device or a fleet that does not exist. It says so. */
function goneView(path, selected, text) {
  const [, kind, id] = path.match(/^(device|fleet)-(.*)$/);
  const strategy =
    kind === "device"
      ? { type: "custom:balena-device", device_id: id }
      : { type: "custom:balena-fleet", device_id: selected, fleet: id === "none" ? undefined : id };
  const title = text(kind === "device" ? "gone" : "fleet_gone");
  // It must not be the first visible view, which the dashboard opens with.
  return { title, path, subview: true, visible: false, strategy };
}

/**
 * Return the views in the order that they had, new ones last.
 *
 * When the views change, Home Assistant continues to show the view at the same position. So a view
 * keeps its position when a device is added, renamed or removed. Otherwise, an open page would suddenly
 * show another device.
 */
function inPlace({ device_id: selected }, views, text) {
  const key = JSON.stringify(selected ?? null);
  const byPath = new Map(views.map((view) => [view.path, view]));
  const paths = new Set([...(places.get(key) ?? []), ...byPath.keys(), ...openPath()]);
  places.set(key, paths);
  return [...paths].map((path) => byPath.get(path) ?? goneView(path, selected, text));
}

export async function dashboard(config, hass) {
  const found = chosen(hass, config);
  const { fleets, devices } = found;
  const text = await textsOf(hass);
  const { device_id, layout, logs: hasLogs } = config;
  const isAlone = !fleets.length && devices.length === 1;
  // A device alone has the only tab, which shows its name. Home Assistant makes a hidden tab for each
  // view, and an icon is the most expensive part of it.
  const hasIcons = !isAlone && devices.length <= MANY;
  const named = { title: text("overview"), icon: "mdi:view-dashboard-outline", path: OVERVIEW };
  const overview =
    fleets.length || devices.length
      ? { ...named, strategy: { type: "custom:balena-overview", device_id, layout, logs: hasLogs } }
      : { ...named, ...(await nothing(hass)) };
  const fleetViews = grouped(found)
    .filter(({ fleet, devices: own }) => own.length && (fleet || fleets.length))
    .map((group) => ({
      title: group.fleet?.name ?? text("devices"),
      icon: "mdi:ship-wheel",
      path: fleetViewOf(group),
      subview: true,
      strategy: { type: "custom:balena-fleet", device_id, fleet: group.fleet?.id },
    }));
  const deviceViews = devices.map((item) => ({
    title: item.name,
    ...(hasIcons && { icon: "mdi:developer-board" }),
    path: deviceViewOf(item),
    strategy: { type: "custom:balena-device", device_id: item.id },
    subview: !isAlone,
  }));
  // A device alone has the first page.
  const first = isAlone ? { ...overview, visible: false } : overview;
  return { views: inPlace(config, [first, ...fleetViews, ...deviceViews], text) };
}

async function nothing(hass) {
  const text = await textsOf(hass);
  const isEmpty = !inventory(hass).devices.length;
  const add = {
    text: text("add"),
    appearance: "filled",
    variant: "brand",
    tap_action: goTo(`/config/integrations/dashboard/add?domain=${DOMAIN}`),
  };
  const card = {
    type: "empty-state",
    icon: "mdi:cube-off-outline",
    content_only: true,
    grid_options: { columns: 12 },
    // Devices may exist, but none of those that were chosen.
    title: text(isEmpty ? "nothing" : "none_found"),
    buttons: isEmpty && isAdmin(hass) ? [add] : [],
  };
  return { type: "sections", max_columns: 1, sections: [grid([card])] };
}
