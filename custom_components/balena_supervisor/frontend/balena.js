/* Loads the log card and the dashboard when custom elements can be defined.
 *
 * The Home Assistant app replaces the custom element registry and `HTMLElement`. Elements that are
 * defined earlier are lost, and this module often runs first.
 */

// Milliseconds between two looks whether Home Assistant has loaded its registries, and how many there are.
const LOOK = 250;
const LOOKS = 240;
// Home Assistant waits for a strategy this long, in milliseconds, and then shows an error for good.
const STRATEGY_TIMEOUT = 5000;

await customElements.whenDefined("home-assistant");
// Pass the version on, so that browsers load the modules again after an update.
const { search } = new URL(import.meta.url);
await Promise.all(
  ["balena-logs-card.js", "balena-dashboard.js", "update-hint.js"].map(
    (name) => import(`./${name}${search}`),
  ),
);
generateAgain();
// The error may come in this moment.
setTimeout(generateAgain, STRATEGY_TIMEOUT);
prepare();

/** Generate the open dashboard again if Home Assistant has given up on these modules. */
function generateAgain() {
  const main = document
    .querySelector("home-assistant")
    ?.shadowRoot?.querySelector("home-assistant-main");
  const panel = main?.shadowRoot?.querySelector("ha-panel-lovelace");
  const root = panel?.shadowRoot?.querySelector("hui-root");
  const { config, rawConfig } = root?.lovelace ?? {};
  const cards = config?.views?.flatMap((view) => view.cards ?? []) ?? [];
  const isOurs = rawConfig?.strategy?.type?.startsWith("custom:balena");
  if (isOurs && cards.some(({ content }) => content?.includes("Timeout waiting for strategy"))) {
    root.dispatchEvent(new CustomEvent("config-refresh", { bubbles: true, composed: true }));
  }
}

/** Look at the devices and load the texts while the page is idle, so that the dashboard opens sooner. */
async function prepare(looks = LOOKS) {
  const { hass } = document.querySelector("home-assistant") ?? {};
  if (!hass?.entities || !hass.devices || !hass.states) {
    if (looks > 1) {
      setTimeout(prepare, LOOK, looks - 1);
    }
    return;
  }
  const [{ inventory, surveyOf }, { textsOf }] = await Promise.all(
    ["dashboard-data.js", "dashboard-texts.js"].map((name) => import(`./${name}${search}`)),
  );
  const whenIdle = window.requestIdleCallback ?? setTimeout;
  whenIdle(() => {
    const { devices } = inventory(hass);
    if (devices.length) {
      surveyOf(devices, hass);
      // A card that needs the texts tries again.
      textsOf(hass).catch(() => undefined);
    }
  });
}
