/* The style of the log card. Sizes and colors follow Home Assistant's theme. */

export const STYLE = `
  :host { display: block; height: 100%; }
  ha-card {
    box-sizing: border-box; height: 100%; min-height: 260px; display: flex;
    flex-direction: column; gap: var(--ha-space-2, 8px); padding: var(--ha-space-3, 12px);
    overflow: hidden; color: var(--primary-text-color);
    --problem-color: color-mix(in srgb, var(--error-color) 70%, var(--primary-text-color));
  }
  h2 {
    margin: 0; font-size: var(--ha-font-size-l, 16px);
    font-weight: var(--ha-font-weight-medium, 500); overflow-wrap: anywhere;
  }
  ha-card.compact { min-height: 0; padding: 0; border: 0; background: none; box-shadow: none; }
  /* The lines are all of a compact card, so they look like a card. */
  .compact .lines {
    border: var(--ha-card-border-width, 1px) solid var(--ha-card-border-color, var(--divider-color));
    border-radius: var(--ha-card-border-radius, var(--ha-border-radius-lg, 12px));
    background: var(--ha-card-background, var(--card-background-color));
  }
  .compact .status { padding-inline: var(--ha-space-3, 12px); }
  .bar { display: flex; flex-direction: column; gap: var(--ha-space-2, 8px); }
  .tools, .buttons, .choices { display: flex; flex-wrap: wrap; gap: var(--ha-space-1, 4px); }
  .tools { align-items: center; }
  .choices { gap: var(--ha-space-2, 8px); }
  .choice { flex: 1 1 120px; min-width: 0; }
  .search { flex: 1 1 160px; min-width: 0; }
  .buttons { --ha-icon-button-size: 40px; color: var(--secondary-text-color); }
  .active { color: var(--primary-color); }
  label {
    display: flex; flex-direction: column; gap: 2px;
    font-size: var(--ha-font-size-s, 12px); color: var(--secondary-text-color);
  }
  select, input, button {
    box-sizing: border-box; min-height: 36px; min-width: 0; padding: 4px 8px; font: inherit;
    font-size: var(--ha-font-size-m, 14px); color: var(--primary-text-color);
    background: var(--card-background-color);
    border: 1px solid var(--secondary-text-color); border-radius: var(--ha-border-radius-md, 8px);
  }
  option { color: var(--primary-text-color); background: var(--card-background-color); }
  ::placeholder { color: var(--secondary-text-color); opacity: 1; }
  select { width: 100%; text-overflow: ellipsis; }
  button { cursor: pointer; white-space: nowrap; padding: 4px 12px; }
  button.active { font-weight: 700; border-width: 2px; color: var(--primary-text-color); }
  :is(select, input, button, .lines):focus-visible {
    outline: 2px solid var(--primary-color); outline-offset: 1px;
  }
  .frame { position: relative; flex: 1 1 300px; min-height: 120px; display: flex; }
  .lines {
    flex: 1; min-width: 0; padding: var(--ha-space-2, 8px); overflow: auto; contain: strict;
    overscroll-behavior: contain; border-radius: var(--ha-border-radius-md, 8px);
    font-family: var(--ha-font-family-code, ui-monospace, monospace);
    font-size: var(--ha-font-size-s, 12px); line-height: 1.45;
    background: var(--primary-background-color);
    border: 1px solid color-mix(in srgb, var(--secondary-text-color) 80%, var(--card-background-color));
    -webkit-user-select: text; user-select: text; cursor: text;
  }
  /* The card scrolls by itself. */
  .lines.follows { overflow-anchor: none; }
  .block { contain: content; }
  .block:empty { block-size: calc(var(--lines) * 1.45em); }
  .lines:not(.wraps) .block { width: max-content; min-width: 100%; }
  .line {
    white-space: pre; padding-inline-start: 6px; border-inline-start: 3px solid transparent;
  }
  .wraps .line { white-space: pre-wrap; overflow-wrap: anywhere; }
  .line.error { border-color: var(--error-color); color: var(--problem-color); }
  .line.warning { border-color: var(--warning-color); }
  .line.note { font-style: italic; color: var(--secondary-text-color); }
  /* A time with Arabic letters does not turn the text behind it round. */
  ha-card:dir(rtl) :is(time, .source) { unicode-bidi: isolate; }
  time { color: var(--secondary-text-color); }
  .source { font-weight: 600; color: var(--primary-text-color); }
  .newest {
    position: absolute; inset-inline-end: 16px; bottom: 10px; min-height: 32px;
    font-size: var(--ha-font-size-s, 12px); box-shadow: 0 1px 4px rgba(0, 0, 0, 0.3);
  }
  .status {
    font-size: var(--ha-font-size-s, 12px); color: var(--secondary-text-color);
    overflow-wrap: anywhere;
  }
  .status:empty { margin-top: calc(-1 * var(--ha-space-2, 8px)); }
  .status.problem { color: var(--problem-color); }
  [hidden] { display: none !important; }
`;
