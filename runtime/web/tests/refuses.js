/**
 * Bad input: one sentence with the value, the place and the remedy.
 */
import assert from "node:assert/strict";

/**
 * @param {() => Promise<unknown>} act
 * @param {string} name
 * @param {RegExp} message
 */
export async function refuses(act, name, message) {
  await assert.rejects(act, (error) => {
    assert.ok(error instanceof Error);
    assert.equal(error.name, name);
    assert.match(error.message, message);
    assert.ok(!error.message.includes("\n") && error.message.endsWith("."), error.message);
    return true;
  });
}
