/* The texts of the dashboard and of its cards. */

const DOMAIN = "balena_supervisor";
const PREFIX = `component.${DOMAIN}.config_panel.dashboard`;
const STATUS_PREFIX = `component.${DOMAIN}.entity.sensor.status.state`;

// Milliseconds between two looks for texts that another card loads, and in total.
const TEXT_WAIT = 50;
const MAX_TEXT_WAIT = 5000;

const loading = new Map();

/** Return the function that returns the texts of the dashboard. Strategies and cards share it. */
export const textsOf = (hass) => shared(hass, "config_panel", PREFIX, "devices");

/** Return the function that returns the texts of repairs. */
export const repairTextsOf = (hass) =>
  shared(hass, "issues", `component.${DOMAIN}.issues`, "update_fails.fix_flow.step.init.title");

/** Return the function that returns the texts of errors. */
export const errorTextsOf = (hass) =>
  shared(hass, "exceptions", `component.${DOMAIN}.exceptions`, "nothing_to_change.message");

function shared(hass, category, prefix, known) {
  const key = `${hass.language} ${category}`;
  if (!loading.has(key)) {
    const texts = loadTexts(hass, category, prefix, known);
    loading.set(key, texts);
    // Try again later if Home Assistant did not answer.
    texts.catch(() => loading.delete(key));
  }
  return loading.get(key);
}

/**
 * Load the texts of a category. `known` is one of them.
 *
 * If several cards load the texts at once, Home Assistant returns them to the first only. The
 * others get them as soon as they have arrived.
 */
async function loadTexts(hass, category, prefix, known) {
  const load = () => hass.loadBackendTranslation(category, DOMAIN);
  let localize = await load();
  for (let wait = 0; wait < MAX_TEXT_WAIT && !localize(`${prefix}.${known}`); wait += TEXT_WAIT) {
    await new Promise((resolve) => setTimeout(resolve, TEXT_WAIT));
    localize = await load();
  }
  return (key, values) => localize(`${prefix}.${key}`, values);
}

/** Return the words for how a device is. */
export function describe({ level, problems, entity, status }, hass, text) {
  if (problems.length) {
    return problemTexts(problems, text).join(", ");
  }
  if (status) {
    return hass.localize(`${STATUS_PREFIX}.${status}`);
  }
  if (entity) {
    return hass.formatEntityState(hass.states[entity]);
  }
  return text(level === "ok" ? "online" : "unknown");
}

/** Return a text for each kind of problem. The services that stopped share one. */
export function problemTexts(problems, text) {
  const services = problems.filter(({ service }) => service).map(({ service }) => service.name);
  const kinds = [...new Set(problems.map(({ kind }) => kind))];
  return kinds.map((kind) => text(`problem_${kind}`, { services: services.join(", ") }));
}
