/* What a log card can show: its configuration, devices and services. */

// The version in the URL, so that browsers load all modules again after an update.
const { search } = new URL(import.meta.url);
const { MAX_LINES } = await import(`./logs-session.js${search}`);

const DOMAIN = "balena_supervisor";
const DEFAULT_LINES = 100;

/** Return a configuration with its defaults. Throws an error that the person sees. */
export function checkConfig(config) {
  const lines = config.lines ?? DEFAULT_LINES;
  if (!Number.isInteger(lines) || lines < 1 || lines > MAX_LINES) {
    throw new Error(`lines must be a number from 1 to ${MAX_LINES}`);
  }
  for (const name of ["device_id", "service", "title"]) {
    if (config[name] != null && typeof config[name] !== "string") {
      throw new Error(`${name} must be a text`);
    }
  }
  if (config.app_id != null && !(Number.isInteger(config.app_id) && config.app_id > 0)) {
    throw new Error("app_id must be a positive number");
  }
  return { ...config, lines };
}

/** Return the devices that may have logs, by name. */
export function devicesOf(hass) {
  return Object.values(hass.devices ?? {})
    .filter(
      ({ disabled_by: disabledBy, entry_type: type, identifiers, parent_device_id: parent }) =>
        !disabledBy &&
        // Fleets are services to Home Assistant, and services of balena are parts of devices.
        type !== "service" &&
        !parent &&
        identifiers.some(([domain]) => domain === DOMAIN),
    )
    .map((device) => ({ ...device, name: nameOf(device) }))
    .sort((one, other) => one.name.localeCompare(other.name, hass.language));
}

/** Return the options of a choice of devices. Devices of the same name show what differs. */
export function deviceOptions(hass, local) {
  const options = devicesOf(hass).map((device) => {
    const fleet = hass.devices[device.via_device_id];
    // The same device can be added directly and through an account.
    const place = fleet ? nameOf(fleet) : local;
    const uuid = device.serial_number?.slice(0, 7);
    const { id, name } = device;
    return { value: id, labels: [name, `${name} (${place})`, `${name} (${place}, ${uuid})`] };
  });
  const isUnique = (label, level) =>
    options.filter((it) => it.labels[level] === label).length === 1;
  return options.map(({ value, labels }) => ({
    value,
    label: labels.find((label, level) => isUnique(label, level)) ?? labels.at(-1),
  }));
}

function nameOf({ id, name, name_by_user: own }) {
  return own || name || id;
}

export function serviceValue(name, appId) {
  return JSON.stringify([name || "", (name && appId) || null]);
}

/** Return the options of a choice of services. Services of the same name show their apps. */
export function serviceOptions(services, all, chosenName, chosenAppId) {
  const labels = new Map([[serviceValue("", null), all]]);
  for (const { app, app_id: appId, name } of services) {
    const isAmbiguous = services.filter((item) => item.name === name).length > 1;
    labels.set(serviceValue(name, appId), isAmbiguous ? `${name} (${app})` : name);
  }
  const chosen = serviceValue(chosenName, chosenAppId);
  if (!labels.has(chosen)) {
    labels.set(chosen, chosenName);
  }
  return [...labels].map(([value, label]) => ({ value, label }));
}
