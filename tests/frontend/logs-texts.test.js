import assert from "node:assert/strict";
import test from "node:test";

import { Texts, Times } from "../../custom_components/balena_supervisor/frontend/logs-texts.js";

const PREFIX = "component.balena_supervisor";

/** Return texts that were loaded. */
function textsWith(translations) {
  const texts = new Texts();
  texts.localize = (key, values) =>
    translations[key]?.replace(/\{(\w+)\}/g, (_, name) => values[name]) ?? "";
  return texts;
}

test("without translations, texts are English", () => {
  assert.equal(new Texts().text("waiting", { count: 3 }), "3 new lines while paused");
});

test("translations are used, and English for what is missing", () => {
  const texts = textsWith({ [`${PREFIX}.config_panel.logs_card.copy`]: "Kopieren" });
  assert.equal(texts.text("copy"), "Kopieren");
  assert.equal(texts.text("pause"), "Pause");
});

test("all cards that load at once get their texts, also if the dashboard is loading them", async () => {
  let requests = 0;
  const hass = {
    language: "de",
    // As Home Assistant does: a request for what is being loaded returns at once, without it.
    loadBackendTranslation: async () => {
      requests += 1;
      const isLoaded = requests > 3;
      return () => (isLoaded ? "Kopieren" : "");
    },
  };
  const cards = [new Texts(), new Texts()];
  await Promise.all(cards.map((texts) => texts.load(hass)));
  assert.deepEqual(
    cards.map((texts) => texts.text("copy")),
    ["Kopieren", "Kopieren"],
  );
  assert.equal(requests, 4);
});

test("a card also waits for the texts of errors, if the dashboard is loading them", async () => {
  let requests = 0;
  const hass = {
    language: "nl",
    loadBackendTranslation: async (category) => {
      requests += category === "exceptions" ? 1 : 0;
      const areErrorsLoaded = requests > 2;
      const error = areErrorsLoaded ? "Beëindigd" : "";
      return (key) => (key.includes(".exceptions.") ? error : "Kopiëren");
    },
  };
  const texts = new Texts();
  await texts.load(hass);
  assert.equal(texts.error({ translation_key: "logs_ended" }), "Beëindigd.");
});

test("without the integration the texts stay English, until it is back", async () => {
  const texts = new Texts();
  const gone = () => Promise.reject(new Error("gone"));
  await texts.load({ language: "fr", loadBackendTranslation: gone });
  assert.equal(texts.text("copy"), "Copy");
  await texts.load({ language: "fr", loadBackendTranslation: async () => () => "Copier" });
  assert.equal(texts.text("copy"), "Copier");
});

for (const [what, error, expected] of [
  [
    "a command that Home Assistant does not know",
    { code: "unknown_command", message: "Unknown command." },
    "The balena integration is not loaded in Home Assistant.",
  ],
  ["a lost connection", 3, "The connection to Home Assistant was lost."],
  [
    "a person who is not an administrator",
    { code: "unauthorized", message: "Unauthorized" },
    "Only administrators can see logs.",
  ],
  ["nothing", undefined, "Home Assistant could not read the logs."],
  ["a bug", new TypeError("x is not y"), "Home Assistant could not read the logs."],
  [
    "an unknown error",
    { code: "unknown_error", message: "Unknown error" },
    "Home Assistant could not read the logs.",
  ],
  [
    "an entry that is not loaded",
    {
      code: "home_assistant_error",
      message: "Config entry 01KXY is not loaded",
      translation_domain: "homeassistant",
      translation_key: "service_config_entry_not_loaded",
      translation_placeholders: { entry: "01KXY" },
    },
    "Home Assistant could not read the logs.",
  ],
  [
    "a device that Home Assistant does not know",
    { code: "not_found", message: "Device with ID 0123 was not found" },
    "Home Assistant could not read the logs.",
  ],
  [
    "an error of ours without its translation",
    { code: "not_found", message: "Hall is gone", translation_key: "device_gone" },
    "Hall is gone.",
  ],
]) {
  test(`${what} is a sentence`, () => {
    assert.equal(new Texts().error(error), expected);
  });
}

test("errors of ours are translated", () => {
  const texts = textsWith({ [`${PREFIX}.exceptions.device_gone.message`]: "{device} ist weg" });
  const error = {
    translation_domain: "balena_supervisor",
    translation_key: "device_gone",
    translation_placeholders: { device: "Halle" },
  };
  assert.equal(texts.error(error), "Halle ist weg.");
});

/** Return the times of a profile. The zone of the server is Amsterdam. */
function timesOf(language, time_format, time_zone = "server") {
  const times = new Times();
  times.hass = {
    locale: { language, time_format, time_zone },
    config: { time_zone: "Europe/Amsterdam" },
  };
  return times;
}

const NOON = "2026-01-05T12:00:00.250+00:00";

for (const [language, format, expected] of [
  ["de", "12", "01:00:00 PM"],
  ["en", "24", "13:00:00"],
  ["de", "language", "13:00:00"],
  ["en", "language", "01:00:00 PM"],
  // scripts/test sets the locale of the system to American English.
  ["de", "system", "01:00:00 PM"],
]) {
  test(`${language} with the time format "${format}"`, () => {
    const times = timesOf(language, format);
    const today = times.short(NOON, "").split(", ")[0];
    assert.equal(times.short(NOON, today).replaceAll("\u202f", " "), expected);
  });
}

test("lines of another day have their date", () => {
  assert.equal(timesOf("en", "24").short(NOON, "Jan 6"), "Jan 5, 13:00:00");
});

test("times are in the zone that the profile chooses", () => {
  assert.equal(timesOf("en", "24", "local").short(NOON, "Jan 5"), "12:00:00");
});

test("the full time has milliseconds and the year", () => {
  assert.match(timesOf("en", "24").long(NOON), /Jan 5, 2026, 13:00:00\.250/);
});

test("the formats follow the profile", () => {
  const times = timesOf("en", "24");
  times.hass = {
    locale: { language: "en", time_format: "12", time_zone: "server" },
    config: { time_zone: "Europe/Amsterdam" },
  };
  assert.match(times.short(NOON, "Jan 5"), /PM$/);
});
