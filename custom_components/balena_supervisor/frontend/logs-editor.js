/* The visual editor of the log card. */

// The version in the URL, so that browsers load all modules again after an update.
const { search } = new URL(import.meta.url);
const [
  { make, makeChoices },
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
  #choices;
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
    const text = (key) => this.#texts.text(key);
    this.#choices.update(this.#hass, [
      {
        name: "device_id",
        label: text("device"),
        value: deviceId,
        options: deviceOptions(this.#hass, text("local")),
      },
      {
        name: "service",
        label: text("service"),
        value: serviceValue(service, appId),
        options: serviceOptions(this.#services, text("all"), service, appId),
      },
    ]);
    const schema = [
      { name: "title", selector: { text: {} } },
      { name: "lines", selector: { number: { min: 1, max: MAX_LINES, mode: "box" } } },
    ];
    Object.assign(this.#form, { hass: this.#hass, schema, data: { title, lines } });
  }

  /** Build the fields. A form of Home Assistant would show the id of the device if there are many. */
  #build() {
    this.#choices = makeChoices((name, value) => this.#choose(name, value));
    this.#choices.element.style.cssText = "display: grid; gap: 24px; margin-bottom: 24px";
    const form = make("ha-form");
    form.computeLabel = ({ name }) =>
      name === "lines"
        ? this.#texts.text("backlog")
        : this.#hass.localize("ui.panel.lovelace.editor.card.generic.title");
    form.addEventListener("value-changed", (event) => {
      event.stopPropagation();
      const { lines, title } = event.detail.value;
      this.#change({ lines, title });
    });
    this.append(this.#choices.element, form);
    return form;
  }

  #choose(name, value) {
    const [service, appId] = name === "service" && value ? JSON.parse(value) : [];
    // Another device has other services.
    const values = { service: service || undefined, app_id: appId ?? undefined };
    this.#change(name === "device_id" ? { device_id: value, ...values } : values);
  }

  #change(values) {
    const config = { ...this.#config };
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
