/* The style of the cards of the dashboard: like Home Assistant's tiles. */

export const LEVEL_ICONS = {
  ok: "mdi:developer-board",
  busy: "mdi:progress-clock",
  limited: "mdi:alert-outline",
  unknown: "mdi:help-circle-outline",
};
export const PROBLEM_ICONS = {
  offline: "mdi:lan-disconnect",
  unavailable: "mdi:help-network-outline",
  update_failed: "mdi:package-variant-remove",
  update_locked: "mdi:lock-alert",
  supervisor_problem: "mdi:shield-alert-outline",
  undervoltage: "mdi:flash-alert",
  service_stopped: "mdi:stop-circle-outline",
  a_service_stopped: "mdi:stop-circle-outline",
};

export const iconOf = ({ level, problems: [problem] }) =>
  problem ? PROBLEM_ICONS[problem.kind] : LEVEL_ICONS[level];

// Words stay in the colours of text, which are readable in each theme. Icons and edges have the colour.
export const STYLE = `
  :host {
    display: block;
    color: var(--primary-text-color);
    --gap: var(--ha-space-2, 8px);
    --edge: var(--secondary-text-color);
  }
  :host([hidden]), [hidden] { display: none !important; }
  .ok { --level: var(--green-color, #4caf50); }
  .busy { --level: var(--blue-color, #2196f3); }
  .limited { --level: var(--amber-color, #ffc107); }
  .warning { --level: var(--deep-orange-color, #ff6f22); }
  .error { --level: var(--red-color, #f44336); }
  .unknown { --level: var(--grey-color, #9e9e9e); }
  h2, h3 { margin: 0; font-weight: var(--ha-font-weight-normal, 400); }
  h2 { font-size: var(--ha-font-size-l, 1rem); line-height: 1.5; }
  h2 small { color: var(--secondary-text-color); font-size: var(--ha-font-size-m, 0.875rem); }
  h3 { color: var(--secondary-text-color); font-size: var(--ha-font-size-m, 0.875rem); font-weight: 500; }
  ul { list-style: none; margin: 0; padding: 0; }
  a { color: inherit; text-decoration: none; }
  button { font: inherit; color: inherit; }
  .head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 var(--gap);
    min-height: 32px; padding: 0 var(--ha-space-1, 4px); }
  a.head:hover h2 { text-decoration: underline; }
  .grid { display: grid; gap: var(--gap);
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 240px), 1fr)); }
  .tile, .panel {
    box-sizing: border-box;
    background: var(--ha-card-background, var(--card-background-color, #fff));
    border: var(--ha-card-border-width, 1px) solid var(--ha-card-border-color, var(--divider-color));
    border-radius: var(--ha-card-border-radius, 12px);
    box-shadow: var(--ha-card-box-shadow, none);
  }
  .tile { display: flex; align-items: center; gap: 10px; min-height: 56px; height: 100%; padding: 8px 10px; }
  .tile.warning, .tile.error {
    border-color: var(--level);
    background: color-mix(in srgb, var(--level) 8%, var(--ha-card-background, var(--card-background-color, #fff)));
  }
  a.tile:hover { background: color-mix(in srgb, var(--level) 12%,
    var(--ha-card-background, var(--card-background-color, #fff))); }
  .badge { position: relative; flex: none; display: grid; place-items: center; width: 36px; height: 36px;
    border-radius: 18px; overflow: hidden; color: var(--level); }
  .badge::before { content: ""; position: absolute; inset: 0; background: var(--level); opacity: 0.2; }
  .badge ha-icon { --mdc-icon-size: 24px; position: relative; }
  .badge svg { width: 24px; height: 24px; position: relative; fill: currentcolor; }
  .words { min-width: 0; flex: 1; display: flex; flex-direction: column; line-height: 1.35; }
  .name { font-size: var(--ha-font-size-m, 0.875rem); font-weight: var(--ha-font-weight-medium, 500);
    overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .words > * { align-self: flex-start; max-width: 100%; }
  .state { font-size: var(--ha-font-size-s, 0.75rem); overflow-wrap: anywhere;
    display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
  .ok .state, .unknown .state { color: var(--primary-text-color); }
  .warning .state, .error .state { font-weight: var(--ha-font-weight-medium, 500); }
  .more { color: var(--secondary-text-color); font-size: var(--ha-font-size-s, 0.75rem);
    overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .warning .more, .error .more { color: var(--primary-text-color); }
  :focus-visible { outline: 2px solid var(--primary-color); outline-offset: 2px; }
  .tools { display: flex; flex-wrap: wrap; align-items: end; gap: var(--gap); margin-bottom: var(--gap); }
  .tools .search { flex: 1 1 220px; min-width: 0; }
  .tools .choices { flex: 3 1 420px; min-width: 0; }
  .choices { display: flex; flex-wrap: wrap; gap: var(--gap); }
  .choice { flex: 1 1 130px; min-width: 0; }
  label.choice { display: flex; flex-direction: column; gap: 2px;
    color: var(--secondary-text-color); font-size: var(--ha-font-size-s, 0.75rem); }
  input.search, select { box-sizing: border-box; min-height: 40px; width: 100%; padding: 0 12px; font: inherit;
    color: var(--primary-text-color); background: var(--ha-card-background, var(--card-background-color, #fff));
    border: 1px solid var(--edge); border-radius: var(--ha-border-radius-md, 8px); }
  input.search::placeholder { color: var(--secondary-text-color); opacity: 1; }
  .count { color: var(--secondary-text-color); font-size: var(--ha-font-size-m, 0.875rem); }
  .pager { display: flex; align-items: center; justify-content: center; gap: var(--gap); padding-top: var(--gap); }
  :host(:dir(rtl)) .pager ha-svg-icon { transform: scaleX(-1); }
  .round { flex: none; display: grid; place-items: center; width: 40px; height: 40px; padding: 0; border: 0;
    border-radius: 20px; background: none; color: var(--secondary-text-color); cursor: pointer; }
  .round:hover { background: color-mix(in srgb, currentcolor 12%, transparent); }
  .round :is(ha-icon, ha-svg-icon) { --mdc-icon-size: 22px; }
  button:disabled { opacity: 0.4; cursor: default; }
  .notices:empty { display: none; }
  .notices { display: grid; gap: var(--gap); margin-bottom: var(--gap); }
  .notice { --level: var(--error-color, #db4437); display: flex; flex-wrap: wrap; align-items: center; gap: var(--gap) 12px;
    padding: 10px 14px; border-radius: var(--ha-card-border-radius, 12px); border: 1px solid var(--level);
    background: color-mix(in srgb, var(--level) 10%, var(--ha-card-background, var(--card-background-color, #fff))); }
  .notice ha-icon { color: var(--level); }
  .notice span { flex: 1 1 200px; }
  .notice a { font-weight: 500; text-decoration: underline; padding: 6px; }
`;

export const DEVICE_STYLE = `
  .panel { height: 100%; display: flex; flex-direction: column; padding: 12px; gap: 10px; }
  .panel.warning, .panel.error { border-color: var(--level); }
  .title { display: flex; align-items: center; gap: 12px; border-radius: 8px; }
  a.title:hover .name { text-decoration: underline; }
  .title .name { font-size: var(--ha-font-size-l, 1rem); }
  .title .state { font-size: var(--ha-font-size-m, 0.875rem); }
  .problems { display: grid; gap: 4px; }
  .problem { --level: var(--deep-orange-color, #ff6f22); display: flex; align-items: center; gap: 10px; padding: 4px 4px 4px 10px; min-height: 40px;
    border-radius: 8px; background: color-mix(in srgb, var(--level) 12%, transparent); font-weight: 500; }
  .problem ha-icon { flex: none; color: var(--level); }
  .problem span { flex: 1; min-width: 0; overflow-wrap: anywhere; }
  .facts { display: grid; grid-template-columns: 1fr 1fr; gap: 2px 12px; }
  .fact { display: flex; flex-direction: column; min-width: 0; padding: 4px 6px; border: 0; border-radius: 8px;
    background: none; text-align: start; cursor: pointer; }
  .fact:hover { background: color-mix(in srgb, currentcolor 8%, transparent); }
  .fact .label { color: var(--secondary-text-color); font-size: var(--ha-font-size-s, 0.75rem); }
  .fact .value { overflow-wrap: anywhere; font-size: var(--ha-font-size-m, 0.875rem); }
  .update { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; padding: 0 6px; }
  .update span { flex: 1 1 140px; overflow-wrap: anywhere; }
  progress { flex: 1 1 100%; width: 100%; height: 8px; appearance: none; border: 0; border-radius: 4px; overflow: hidden;
    background: color-mix(in srgb, var(--primary-color) 25%, transparent); }
  progress::-webkit-progress-bar { background: none; }
  progress::-webkit-progress-value { background: var(--primary-color); }
  progress::-moz-progress-bar { background: var(--primary-color); }
  .services li { display: flex; align-items: center; gap: 4px; min-height: 40px; padding-inline-start: 6px; }
  .services .who { flex: 1; min-width: 0; display: flex; align-items: center; gap: 10px; border: 0; background: none; padding: 2px;
    text-align: start; cursor: pointer; border-radius: 8px; }
  .services .who ha-icon { flex: none; color: var(--level); }
  .services .name { min-width: 0; flex: 0 1 auto; }
  .services .state { flex: 1; min-width: 0; color: var(--secondary-text-color); font-size: var(--ha-font-size-m, 0.875rem);
    display: block; white-space: nowrap; text-overflow: ellipsis; }
  .services .warning .state { color: var(--primary-text-color); }
  .commands { display: flex; flex-wrap: wrap; gap: var(--gap); }
  .commands.apart { border-top: 1px solid var(--divider-color); padding-top: 10px; }
  .command { display: inline-flex; align-items: center; gap: 8px; min-height: 36px; padding: 0 12px; cursor: pointer;
    border: 1px solid var(--edge); border-radius: 18px; background: none; font-size: var(--ha-font-size-m, 0.875rem); }
  .command ha-icon { --mdc-icon-size: 18px; }
  .command:hover:enabled { background: color-mix(in srgb, currentcolor 10%, transparent); }
  .command.danger { border-color: var(--error-color, #db4437); }
  .command.danger ha-icon { color: var(--error-color, #db4437); }
  .command.main { border-color: var(--primary-color);
    background: color-mix(in srgb, var(--primary-color) 18%, transparent); font-weight: 500; }
  .gone { padding: 12px; color: var(--secondary-text-color); }
  .end { margin-top: auto; }
`;
