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

/** Return the field of a form for a choice. */
export function fieldOf({ name, options, ...field }) {
  const select = { mode: "dropdown", options, custom_value: options.length > MANY };
  return { name, selector: { select }, ...field };
}

/** Return a group of choices. `onChange` is called with the name and the value of a choice. */
export function makeChoices(onChange) {
  return customElements.get("ha-form") ? new FormChoices(onChange) : new NativeChoices(onChange);
}

// A choice has `name`, `label`, `value` and `options` with `label` and `value`.

class FormChoices {
  element = make("ha-form", { className: "choices" });
  #choices = [];
  #shown;

  constructor(onChange) {
    const { element } = this;
    element.computeLabel = ({ name }) =>
      this.#choices.find((choice) => choice.name === name)?.label;
    element.addEventListener("value-changed", (event) => {
      event.stopPropagation();
      for (const { name, options, value } of this.#choices) {
        const chosen = event.detail.value[name];
        if (chosen !== value && options.some((option) => option.value === chosen)) {
          onChange(name, chosen);
          return;
        }
      }
      // Nothing was chosen: show the choices as they are.
      this.#show();
    });
  }

  update(hass, choices) {
    this.element.hass = hass;
    this.#choices = choices;
    const shown = JSON.stringify(choices);
    if (this.#shown !== shown) {
      this.#shown = shown;
      const schema = choices.map(({ name, options }) => fieldOf({ name, options, required: true }));
      this.element.schema = [{ type: "grid", name: "", column_min_width: "120px", schema }];
      this.#show();
    }
  }

  #show() {
    this.element.data = Object.fromEntries(this.#choices.map(({ name, value }) => [name, value]));
  }
}

class NativeChoices {
  element = make("div", { className: "choices native" });
  #fields = new Map();
  #names;
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
  }

  update(hass, choices) {
    const names = choices.map(({ name }) => name);
    if (this.#names !== names.join()) {
      this.#names = names.join();
      this.element.replaceChildren(...names.map((name) => this.#field(name).label));
    }
    for (const { name, label, options, value } of choices) {
      const { select, text } = this.#field(name);
      text.textContent = label;
      select.replaceChildren(
        ...options.map((option) => make("option", { value: option.value }, option.label)),
      );
      select.value = value;
    }
  }

  #field(name) {
    if (!this.#fields.has(name)) {
      const text = make("span");
      const select = make("select");
      select.addEventListener("change", () => this.#onChange(name, select.value));
      this.#fields.set(name, { label: make("label", {}, text, select), select, text });
    }
    return this.#fields.get(name);
  }
}

/** Return a text field with `element` and `update(label, value)`. */
export function makeSearch(onInput) {
  const isOwn = Boolean(customElements.get("ha-input-search"));
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
