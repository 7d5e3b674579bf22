/* Offers the cards and the dashboard in Home Assistant's pickers, in the language of the page. */

const PREFIX = "component.balena_supervisor.config_panel.picker";

/** Return a text in the language of the page, or undefined while the texts are not loaded. */
function textOf(key) {
  const { hass } = document.querySelector("home-assistant") ?? {};
  return hass?.localize?.(`${PREFIX}.${key}`) || undefined;
}

/**
 * Add a card to `customCards`, or a strategy to `customStrategies`, once. `key` names its description in the
 * translations. Until these are loaded, the name and the description are English.
 */
export function offer(list, key, { name, description, ...more }) {
  window[list] = window[list] ?? [];
  if (window[list].some(({ type }) => type === more.type)) {
    return;
  }
  window[list].push({
    ...more,
    get name() {
      return textOf(`${key}_name`) ?? name;
    },
    get description() {
      return textOf(key) ?? description;
    },
  });
}
