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

/** Return the options of a choice of devices that may have logs. */
export function deviceOptions(hass, local) {
  return labelled(hass, devicesOf(hass), local);
}

/** Return the options of a choice of devices. Devices of the same name show what differs. */
export function labelled(hass, devices, local) {
  const options = devices.map(({ id, name }) => {
    const { serial_number: serial, via_device_id: via } = hass.devices[id];
    const fleet = hass.devices[via];
    // The same device can be added directly and through an account.
    const place = fleet ? nameOf(fleet) : local;
    const uuid = serial?.slice(0, 7);
    return { value: id, labels: [name, `${name} (${place})`, `${name} (${place}, ${uuid})`] };
  });
  // How often each label occurs, by level.
  const counts = [new Map(), new Map(), new Map()];
  for (const { labels } of options) {
    labels.forEach((label, level) => counts[level].set(label, (counts[level].get(label) ?? 0) + 1));
  }
  return options.map(({ value, labels }) => ({
    value,
    label: labels.find((label, level) => counts[level].get(label) === 1) ?? labels.at(-1),
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
