/* Elements of the log card: Home Assistant's own where they are defined, native ones otherwise. */

// With more options than this, a choice can be searched.
const MANY = 12;

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Load Home Assistant's forms, if it can. The editors of its own cards use them. */
export async function loadForms() {
  if (!customElements.get("ha-form")) {
    const helpers = await window.loadCardHelpers?.();
    await helpers?.createCardElement({ type: "tile", entity: "sun.sun" });
    await customElements.get("hui-tile-card")?.getConfigElement();
  }
}

/**
 * Return a group of choices. `onChange` is called with the name and the value of a choice.
 *
 * Native controls appear ten times as fast as Home Assistant's own.
 */
export function makeChoices(onChange, isOwn = Boolean(customElements.get("ha-select"))) {
  return new Choices(isOwn ? ownField : nativeField, onChange);
}

// A choice has `name`, `label`, `value` and `options` with `label` and `value`.

class Choices {
  element = make("div", { className: "choices" });
  #fields = new Map();
  #makeField;
  #names;
  #onChange;

  constructor(makeField, onChange) {
    this.#makeField = makeField;
    this.#onChange = onChange;
  }

  update(hass, choices) {
    const before = this.#fields;
    this.#fields = new Map();
    for (const choice of choices) {
      const { name } = choice;
      const field = before.get(name) ?? this.#makeField((value) => this.#onChange(name, value));
      field.update(hass, choice);
      this.#fields.set(name, field);
    }
    const names = [...this.#fields.keys()].join();
    if (this.#names !== names) {
      this.#names = names;
      this.element.replaceChildren(...[...this.#fields.values()].map(({ element }) => element));
    }
  }
}

/**
 * Return a field with Home Assistant's own selection, which can be searched if it has many options.
 *
 * The form of Home Assistant would mark the field as required, or let people clear it.
 */
function ownField(onChange) {
  const element = make("div", { className: "choice" });
  let current;
  let field;
  let shown;
  const select = (event) => {
    event.stopPropagation();
    const { value } = event.detail;
    if (value !== current && value !== undefined) {
      onChange(value);
    }
  };
  const update = (hass, { label, options, value }) => {
    const tag = options.length > MANY ? "ha-generic-picker" : "ha-select";
    if (field?.localName !== tag) {
      field = make(tag, { hideClearIcon: true });
      field.addEventListener("selected", select);
      field.addEventListener("value-changed", select);
      element.replaceChildren(field);
      shown = undefined;
    }
    current = value;
    const next = JSON.stringify(options);
    if (shown !== next) {
      shown = next;
      const labels = new Map(options.map((option) => [option.value, option.label]));
      const items = options.map((option) => ({ id: option.value, primary: option.label }));
      field.options = options;
      field.getItems = () => items;
      field.valueRenderer = (id) => labels.get(id) ?? id;
    }
    Object.assign(field, { hass, label, value });
  };
  return { element, update };
}

function nativeField(onChange) {
  const text = make("span");
  const select = make("select");
  select.addEventListener("change", () => onChange(select.value));
  const update = (_, { label, options, value }) => {
    text.textContent = label;
    select.replaceChildren(
      ...options.map((option) => make("option", { value: option.value }, option.label)),
    );
    select.value = value;
  };
  return { element: make("label", { className: "choice" }, text, select), update };
}

/** Return a text field with `element` and `update(label, value)`. */
export function makeSearch(onInput, isOwn = Boolean(customElements.get("ha-input-search"))) {
  const input = make(isOwn ? "ha-input-search" : "input", { type: "search", autocomplete: "off" });
  input.className = "search";
  input.addEventListener("input", () => onInput(input.value ?? ""));
  const update = (label, value) => {
    Object.assign(input, isOwn ? { label } : { placeholder: label, ariaLabel: label });
    if (input.value !== value) {
      input.value = value;
    }
  };
  return { element: input, update };
}

/** Return a button with `element` and `update(label, icon)`. */
export function makeButton(onClick) {
  const isOwn = ["ha-icon-button", "ha-icon"].every((name) => customElements.get(name));
  const element = isOwn ? make("ha-icon-button") : make("button", { type: "button" });
  element.addEventListener("click", onClick);
  const icon = make("ha-icon");
  if (isOwn) {
    element.append(icon);
  }
  const update = (label, name, isActive = false) => {
    element.classList.toggle("active", isActive);
    if (isOwn) {
      element.label = label;
      icon.icon = name;
    } else {
      element.textContent = label;
    }
  };
  return { element, update };
}
