/* The dashboard of balena devices: `strategy: {type: custom:balena}`.
 *
 * The strategies only generate configuration, and only when the registries change. Our cards follow
 * the states themselves.
 */

const { search } = new URL(import.meta.url);
const load = (name) => import(`./${name}${search}`);
const [views, { loadForms }, { offer }] = await Promise.all(
  ["dashboard-views.js", "logs-elements.js", "picker.js"].map(load),
);
await Promise.all(["devices-card.js", "device-card.js", "dashboard-editor.js"].map(load));

/** Return the class of a strategy. */
const strategy = (generate) =>
  class extends HTMLElement {
    static registryDependencies = ["devices", "entities"];

    static async generate(config, hass) {
      return generate(config, hass);
    }
  };

class Dashboard extends strategy(views.dashboard) {
  static getCreateSuggestions() {
    return { title: "balena", icon: "mdi:cube-outline" };
  }

  static async getConfigElement() {
    await loadForms();
    return document.createElement("balena-dashboard-editor");
  }
}

for (const [name, element] of Object.entries({
  "dashboard-balena": Dashboard,
  "view-balena-overview": strategy(views.overviewView),
  "view-balena-fleet": strategy(views.fleetView),
  "view-balena-device": strategy(views.deviceView),
  // Sections of dashboards that somebody wrote for the first release.
  "section-balena-attention": strategy(views.attentionSection),
  "section-balena-devices": strategy(views.devicesSection),
})) {
  if (!customElements.get(`ll-strategy-${name}`)) {
    customElements.define(`ll-strategy-${name}`, element);
  }
}

offer("customStrategies", "dashboard", {
  type: "balena",
  strategyType: "dashboard",
  name: "balena",
  description: "Overview of your balena devices and fleets, with a page for each device",
});
