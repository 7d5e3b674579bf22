/* The visual editors of the dashboard and of its cards, with Home Assistant's forms. */

const { search } = new URL(import.meta.url);
const [{ inventory }, { textsOf }, { make }, { labelled }, { Texts }] = await Promise.all(
  [
    "dashboard-data.js",
    "dashboard-texts.js",
    "logs-elements.js",
    "logs-sources.js",
    "logs-texts.js",
  ].map((name) => import(`./${name}${search}`)),
);

/** Return the fleets and devices that can be chosen. A selected one that is gone has no name. */
function choicesOf(hass, { fleets, devices }, selected, { gone, local }) {
  const known = new Set([...fleets, ...devices].map(({ id }) => id));
  const named = devices.map(({ id, givenName }) => ({ id, name: givenName }));
  const missing = selected.filter((id) => !known.has(id));
  return {
    fleets: fleets.map(({ id, name }) => ({ value: id, label: name })),
    devices: [
      ...labelled(hass, named, local),
      ...missing.map((id) => ({ value: id, label: gone })),
    ],
  };
}

// The fields of each editor, as a function of the texts and the inventory.

function selectedDevices(text, { fleets, devices }) {
  const options = [...fleets, ...devices];
  const selector = { select: { mode: "dropdown", multiple: true, options } };
  return { name: "device_id", help: "help_device_id", selector };
}

function choice(name, values, text) {
  const options = values.map((value) => ({ value, label: text(`${name}_${value}`) }));
  return { name, selector: { select: { mode: "dropdown", options } } };
}

const SCHEMAS = {
  dashboard: (text, found) => [
    selectedDevices(text, found),
    choice("layout", ["auto", "cards", "tiles", "list"], text),
    { name: "logs", selector: { boolean: {} } },
  ],
  devices: (text, found) => [
    { name: "title", selector: { text: {} } },
    selectedDevices(text, found),
    choice("show", ["all", "attention", "fleets"], text),
  ],
  device: (text, { devices }) => [
    {
      name: "device_id",
      label: "device",
      required: true,
      selector: { select: { mode: "dropdown", options: devices, custom_value: false } },
    },
    { name: "all_commands", selector: { boolean: {} } },
  ],
};
// What is shown for an option that is not set. It is not stored.
const DEFAULTS = { layout: "auto", logs: true, show: "all", all_commands: false };

class Editor extends HTMLElement {
  #config = {};
  #form;
  #hass;
  #logTexts = new Texts();
  #text;
  #shown;

  setConfig(config) {
    this.#config = config;
    this.#update();
  }

  set hass(hass) {
    this.#hass = hass;
    if (this.#text) {
      this.#update();
    } else {
      // The word for local devices is a text of the log card.
      Promise.all([textsOf(hass), this.#logTexts.load(hass)]).then(([text]) => {
        this.#text = text;
        this.#update();
      });
    }
  }

  #selected() {
    return [this.#config.device_id ?? []].flat();
  }

  #update() {
    if (!this.#text || !this.#hass) {
      return;
    }
    this.#form ??= this.#build();
    const found = inventory(this.#hass);
    if (this.#shown !== found) {
      this.#shown = found;
      const words = { gone: this.#text("gone"), local: this.#logTexts.text("local") };
      const choices = choicesOf(this.#hass, found, this.#selected(), words);
      this.#form.schema = SCHEMAS[this.constructor.kind](this.#text, choices);
    }
    const names = this.#form.schema.map(({ name }) => name);
    const data = Object.fromEntries(
      names.map((name) => [name, this.#config[name] ?? DEFAULTS[name]]),
    );
    if (names.includes("layout") || names.includes("show")) {
      data.device_id = this.#selected();
    }
    Object.assign(this.#form, { hass: this.#hass, data });
  }

  #build() {
    const form = make("ha-form");
    // A card with one device has another label than a choice of devices and fleets.
    form.computeLabel = ({ name, label = `option_${name}` }) => this.#text(label);
    form.computeHelper = ({ help }) => (help ? this.#text(help) : undefined);
    form.addEventListener("value-changed", (event) => {
      event.stopPropagation();
      this.#change(event.detail.value);
    });
    this.append(form);
    return form;
  }

  #change(values) {
    const config = { ...this.#config };
    for (const { name } of this.#form.schema) {
      const value = values[name];
      if (value === undefined || value === "" || value === DEFAULTS[name] || value?.length === 0) {
        delete config[name];
      } else {
        config[name] = value;
      }
    }
    this.#config = config;
    this.#update();
    this.dispatchEvent(
      new CustomEvent("config-changed", { bubbles: true, composed: true, detail: { config } }),
    );
  }
}

class DashboardEditor extends Editor {
  static kind = "dashboard";
}

class DevicesEditor extends Editor {
  static kind = "devices";
}

class DeviceEditor extends Editor {
  static kind = "device";
}

if (!customElements.get("balena-dashboard-editor")) {
  customElements.define("balena-dashboard-editor", DashboardEditor);
  customElements.define("balena-devices-card-editor", DevicesEditor);
  customElements.define("balena-device-card-editor", DeviceEditor);
}
