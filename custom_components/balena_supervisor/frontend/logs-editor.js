/* The visual editor of the log card, and the choices that it shares with the card. */

// The version in the URL, so that browsers load all modules again after an update.
const { search } = new URL(import.meta.url);
const [{ fieldOf, make }, { MAX_LINES }, { Texts }] = await Promise.all(
  ["logs-elements.js", "logs-session.js", "logs-texts.js"].map(
    (name) => import(`./${name}${search}`),
  ),
);

const DOMAIN = "balena_supervisor";

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
    .map(({ id, name, name_by_user: own }) => ({ id, name: own || name || id }))
    .sort((one, other) => one.name.localeCompare(other.name, hass.language));
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
    const devices = devicesOf(this.#hass).map(({ id, name }) => ({ value: id, label: name }));
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
