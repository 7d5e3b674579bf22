/* Loads the card of logs and the dashboard as soon as elements can be defined.
 *
 * Home Assistant's app replaces the browser's registry of elements and `HTMLElement` itself. What
 * was defined before is lost, and this module is often there first.
 */

await customElements.whenDefined("home-assistant");
// The version, so that browsers notice when it is another one.
const { search } = new URL(import.meta.url);
await Promise.all(
  ["balena-logs-card.js", "balena-dashboard.js"].map((name) => import(`./${name}${search}`)),
);
