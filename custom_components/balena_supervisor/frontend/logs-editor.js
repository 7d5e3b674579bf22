/* The visual editor of the log card. */

// The version in the URL, so that browsers load all modules again after an update.
const { search } = new URL(import.meta.url);
const [
  { fieldOf, make },
  { MAX_LINES },
  { deviceOptions, devicesOf, serviceOptions, serviceValue },
  { Texts },
] = await Promise.all(
  ["logs-elements.js", "logs-session.js", "logs-sources.js", "logs-texts.js"].map(
    (name) => import(`./${name}${search}`),
  ),
);

const DOMAIN = "balena_supervisor";

class BalenaLogsCardEditor extends HTMLElement {
  #config = {};
  #form;
  #hass;
  #services = [];
  #servicesOf;
  #texts = new Texts();

  setConfig(config) {
    this.#config = config;
    this.#update();
  }

  set hass(hass) {
    const before = this.#hass;
    this.#hass = hass;
    if (before?.language !== hass.language) {
      this.#texts.load(hass).then(() => this.#update());
    } else if (before.localize !== hass.localize) {
      this.#texts.localize = hass.localize;
    }
    this.#update();
  }

  #update() {
    if (!this.#hass) {
      return;
    }
    this.#form ??= this.#build();
    this.#loadServices();
    const { app_id: appId, device_id: deviceId, lines, service, title } = this.#config;
    const devices = deviceOptions(this.#hass, this.#texts.text("local"));
    const all = this.#texts.text("all");
    const schema = [
      fieldOf({ name: "device_id", options: devices }),
      fieldOf({ name: "service", options: serviceOptions(this.#services, all, service, appId) }),
      { name: "title", selector: { text: {} } },
      { name: "lines", selector: { number: { min: 1, max: MAX_LINES, mode: "box" } } },
    ];
    const data = { device_id: deviceId, service: serviceValue(service, appId), title, lines };
    Object.assign(this.#form, { hass: this.#hass, schema, data });
  }

  #build() {
    const form = make("ha-form");
    const keys = { device_id: "device", service: "service", lines: "backlog" };
    form.computeLabel = ({ name }) =>
      keys[name]
        ? this.#texts.text(keys[name])
        : this.#hass.localize("ui.panel.lovelace.editor.card.generic.title");
    form.addEventListener("value-changed", (event) => {
      event.stopPropagation();
      this.#change(event.detail.value);
    });
    this.append(form);
    return form;
  }

  #change({ device_id: deviceId, lines, service, title }) {
    const isSame = (deviceId || undefined) === this.#config.device_id;
    const [name, appId] = isSame && service ? JSON.parse(service) : [];
    const config = { ...this.#config };
    const values = {
      device_id: deviceId || undefined,
      service: name || undefined,
      app_id: appId ?? undefined,
      title,
      lines,
    };
    for (const [key, value] of Object.entries(values)) {
      if (value === undefined || value === null) {
        delete config[key];
      } else {
        config[key] = value;
      }
    }
    this.#config = config;
    this.#update();
    this.dispatchEvent(
      new CustomEvent("config-changed", { bubbles: true, composed: true, detail: { config } }),
    );
  }

  async #loadServices() {
    const deviceId = this.#config.device_id ?? devicesOf(this.#hass)[0]?.id;
    if (!deviceId || this.#servicesOf === deviceId) {
      return;
    }
    this.#servicesOf = deviceId;
    try {
      const [device] = await this.#hass.connection.sendMessagePromise({
        type: `${DOMAIN}/devices`,
        device_id: deviceId,
      });
      this.#services = device?.services ?? [];
    } catch {
      // Without the integration there is nothing to choose.
      this.#services = [];
    }
    this.#update();
  }
}

if (!customElements.get("balena-logs-card-editor")) {
  customElements.define("balena-logs-card-editor", BalenaLogsCardEditor);
}
