import assert from "node:assert/strict";
import test from "node:test";

import { LogSession } from "../../custom_components/balena_supervisor/frontend/logs-session.js";

test("a session begins without a source", () => {
  assert.equal(new LogSession("key").deviceId, "");
});
