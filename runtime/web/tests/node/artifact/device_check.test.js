/** Logits that a device check lacks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEVICE_CHECK } from "../../../src/artifact/contract.js";
import { pairsToCheck, readDeviceCheck } from "../../../src/artifact/device_check.js";
import { textOf } from "../../artifacts.js";

test("a graph's logits, one row for each pair and one number for each column", () => {
  const read = () => readDeviceCheck(textOf("demo", DEVICE_CHECK));
  assert.deepEqual(pairsToCheck(read(), "q4", "padded").map(({ logits }) => logits), read().padded.q4);
  const missing = { name: "ArtifactError", message: /^device_check.json does not have the logits that .* graph gives for each pair; export/ };
  assert.throws(() => pairsToCheck(read(), "q5", "padded"), missing);
  assert.throws(() => pairsToCheck(read(), "__proto__", "padded"), missing);
  const check = read();
  check.padded.q4.pop();
  check.padded.int8[0].pop();
  assert.throws(() => pairsToCheck(check, "q4", "padded"), missing);
  assert.throws(() => pairsToCheck(check, "int8", "padded"), missing);
});
