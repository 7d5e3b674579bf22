import assert from "node:assert/strict";
import test from "node:test";

import {
  LogSession,
  MAX_LINES,
  claimSession,
  releaseSession,
} from "../../custom_components/balena_supervisor/frontend/logs-session.js";

const entry = (message, values = {}) => ({
  time: `2026-11-28T12:00:${String(message).padStart(2, "0")}+00:00`,
  source: "main",
  message: String(message),
  level: "info",
  is_error: false,
  ...values,
});
const entries = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, index) => entry(first + index));

/** Return a session that shows entries. */
function sessionWith(...shown) {
  const session = new LogSession("key");
  receive(session, shown);
  return session;
}

/** Receive entries as a card does. Returns the messages of the new ones. */
function receive(session, received) {
  const { fresh } = session.takeNew(received);
  session.add(fresh.map((item) => ({ entry: item })));
  return fresh.map(({ message }) => message);
}

const messages = (items) => items.map((item) => item.entry?.message ?? item.note);

test("the last 1000 lines stay", () => {
  const session = sessionWith(...Array.from({ length: MAX_LINES + 5 }, (_, index) => entry(index)));
  assert.equal(session.items.length, MAX_LINES);
  assert.equal(session.items.at(-1).entry.message, String(MAX_LINES + 4));
});

test("later items have higher ids, also those that were held", () => {
  const session = sessionWith(entry(1));
  session.isPaused = true;
  session.add([{ entry: entry(2) }]);
  session.isPaused = false;
  session.add([{ entry: entry(3) }]);
  session.add(session.held);
  const ids = session.items.map(({ id }) => id);
  assert.deepEqual(
    ids,
    ids.toSorted((one, other) => one - other),
  );
});

test("while paused, lines wait", () => {
  const session = sessionWith(entry(1));
  session.isPaused = true;
  assert.deepEqual(session.add([{ entry: entry(2) }]), []);
  assert.deepEqual(messages(session.items), ["1"]);
  assert.deepEqual(messages(session.held), ["2"]);
});

test("another source forgets the lines and keeps the filters", () => {
  const session = sessionWith(entry(1));
  Object.assign(session, { filter: "x", level: "errors", wraps: false, follows: false });
  session.choose("device", "main", 5);
  assert.deepEqual(
    [session.deviceId, session.service, session.appId, session.items],
    ["device", "main", 5, []],
  );
  assert.deepEqual(
    [session.filter, session.level, session.wraps, session.follows],
    ["x", "errors", false, true],
  );
});

test("an app without a service selects nothing", () => {
  const session = new LogSession("key");
  session.choose("device", "", 5);
  assert.equal(session.appId, null);
});

test("lines that a new subscription repeats are not new", () => {
  const session = sessionWith(...entries(1, 3));
  session.expectRepetitions();
  assert.deepEqual(receive(session, entries(2, 5)), ["4", "5"]);
});

test("lines before those that are shown are not new", () => {
  const session = sessionWith(...entries(3, 4));
  session.expectRepetitions();
  assert.deepEqual(receive(session, entries(1, 5)), ["5"]);
});

test("a line that really came twice is shown twice", () => {
  const session = sessionWith(entry(1));
  session.expectRepetitions();
  assert.deepEqual(receive(session, [entry(1), entry(1)]), ["1"]);
});

test("lines that were cleared do not come back", () => {
  const session = sessionWith(...entries(1, 3));
  session.items = [];
  session.expectRepetitions();
  assert.deepEqual(receive(session, entries(1, 4)), ["4"]);
});

test("without an overlap, lines may be missing", () => {
  const session = sessionWith(entry(1));
  session.expectRepetitions();
  assert.equal(session.takeNew([entry(5)]).hasGap, true);
});

test("with an overlap, no line is missing", () => {
  const session = sessionWith(entry(1));
  session.expectRepetitions();
  assert.equal(session.takeNew(entries(1, 2)).hasGap, false);
});

test("after a reboot, the lines of a clock that was set back are new", () => {
  const session = sessionWith(entry(30));
  session.expectRepetitions();
  const reset = entry("booting", { time: "1970-01-01T00:00:01+00:00" });
  assert.deepEqual(receive(session, [entry(31), reset]), ["31", "booting"]);
});

const LEVELS = [
  entry("fine"),
  entry("odd", { level: "warning" }),
  entry("bad", { level: "error", is_error: true }),
  // A line without a level that a service wrote to its error output.
  entry("worse", { level: null, is_error: true }),
];

for (const [level, expected] of [
  ["all", ["fine", "odd", "bad", "worse"]],
  ["warnings", ["odd", "bad", "worse"]],
  ["errors", ["bad", "worse"]],
]) {
  test(`level ${level}`, () => {
    const session = sessionWith(...LEVELS);
    session.level = level;
    assert.deepEqual(messages(session.visibleItems()), expected);
  });
}

test("marks of the card pass every level", () => {
  const session = sessionWith(entry("fine"));
  session.add([{ note: "Interrupted" }]);
  session.level = "errors";
  assert.deepEqual(messages(session.visibleItems()), ["Interrupted"]);
});

for (const filter of ["it br", "main it", "broke"]) {
  test(`the filter "${filter}" finds a line by source and message, in any case`, () => {
    const session = sessionWith(entry("It BROKE"), entry("fine"));
    session.filter = filter;
    assert.deepEqual(messages(session.visibleItems()), ["It BROKE"]);
  });
}

test("copies have full times and only the visible lines", () => {
  const session = sessionWith(entry(1), entry(2, { source: null }), entry(3, { time: null }));
  session.add([{ note: "Interrupted" }]);
  session.level = "all";
  assert.equal(
    session.asText(),
    "2026-11-28T12:00:01+00:00 main 1\n2026-11-28T12:00:02+00:00 2\nmain 3\nInterrupted",
  );
  session.filter = "main 1";
  assert.equal(session.asText(), "2026-11-28T12:00:01+00:00 main 1");
});

test("the next card with the same key continues a session", () => {
  const session = sessionWith(entry(1));
  session.key = "same";
  releaseSession(session);
  assert.notEqual(claimSession("another"), session);
  assert.equal(claimSession("same"), session);
  assert.notEqual(claimSession("same"), session);
});

test("the oldest session without a card is forgotten", () => {
  const sessions = Array.from({ length: 9 }, (_, index) => new LogSession(`session ${index}`));
  sessions.forEach(releaseSession);
  assert.notEqual(claimSession("session 0"), sessions[0]);
  assert.equal(claimSession("session 1"), sessions[1]);
});
