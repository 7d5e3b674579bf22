/* Loads the log card and the dashboard when custom elements can be defined.
 *
 * The Home Assistant app replaces the custom element registry and `HTMLElement`. Elements that are
 * defined earlier are lost, and this module often runs first.
 */

await customElements.whenDefined("home-assistant");
// Pass the version on, so that browsers load the modules again after an update.
const { search } = new URL(import.meta.url);
await Promise.all(
  ["balena-logs-card.js", "balena-dashboard.js", "update-hint.js"].map(
    (name) => import(`./${name}${search}`),
  ),
);
