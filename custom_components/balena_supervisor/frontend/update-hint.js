/* Offers to reload a page that was open while the integration was updated. */

const DOMAIN = "balena_supervisor";
const PREFIX = `component.${DOMAIN}.config_panel.page`;
// English fallback. Same as config_panel.page in en.json.
const TEXTS = {
  updated: "The balena integration was updated. Reload the page to use its new version.",
  reload: "Reload",
};
// Home Assistant accepts connections before it has set up the integration.
const RETRY_SECONDS = 10;
const MAX_ATTEMPTS = 30;

const version = new URL(import.meta.url).searchParams.get("v");
let isOffered = false;

async function offerReload(connection) {
  for (let attempt = 0; attempt < MAX_ATTEMPTS && !isOffered; attempt += 1) {
    try {
      const current = await connection.sendMessagePromise({ type: `${DOMAIN}/frontend_version` });
      if (current.version !== version && !isOffered) {
        isOffered = true;
        await show();
      }
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_SECONDS * 1000));
    }
  }
}

/** Show a notification until the person reloads the page or closes it. */
async function show() {
  const app = document.querySelector("home-assistant");
  const localize = await app.hass.loadBackendTranslation("config_panel", DOMAIN);
  const text = (key) => localize(`${PREFIX}.${key}`) || TEXTS[key];
  const detail = {
    message: text("updated"),
    action: { text: text("reload"), action: () => location.reload() },
    duration: -1,
    dismissable: true,
  };
  app.dispatchEvent(new CustomEvent("hass-notification", { detail }));
}

window.hassConnection?.then(({ conn }) => {
  conn.addEventListener("ready", () => offerReload(conn));
  offerReload(conn);
});
