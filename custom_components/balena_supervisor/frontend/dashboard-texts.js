/* The texts of the dashboard and of its cards. */

const DOMAIN = "balena_supervisor";
const PREFIX = `component.${DOMAIN}.config_panel.dashboard`;

// Milliseconds between two looks for texts that another card loads, and in total.
const TEXT_WAIT = 50;
const MAX_TEXT_WAIT = 5000;

const loading = new Map();

/** Return the function that returns texts. Strategies and cards share it. */
export function textsOf(hass) {
  const { language } = hass;
  if (!loading.has(language)) {
    const texts = loadTexts(hass);
    loading.set(language, texts);
    // Try again later if Home Assistant did not answer.
    texts.catch(() => loading.delete(language));
  }
  return loading.get(language);
}

/**
 * Load the texts.
 *
 * If several cards load the texts at once, Home Assistant returns them to the first only. The
 * others get them as soon as they have arrived.
 */
async function loadTexts(hass) {
  const load = () => hass.loadBackendTranslation("config_panel", DOMAIN);
  let localize = await load();
  for (let wait = 0; wait < MAX_TEXT_WAIT && !localize(`${PREFIX}.devices`); wait += TEXT_WAIT) {
    await new Promise((resolve) => setTimeout(resolve, TEXT_WAIT));
    localize = await load();
  }
  return (key, values) => localize(`${PREFIX}.${key}`, values);
}

/** Return the words for how a device is. */
export function describe({ level, problems, entity }, hass, text) {
  if (problems.length) {
    return problemTexts(problems, text).join(", ");
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
