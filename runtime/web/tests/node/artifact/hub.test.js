/** Addresses of repositories, and what is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hubUrl } from "../../../src/artifact/hub.js";

test("addresses", () => {
  assert.equal(hubUrl("owner/name"), "https://huggingface.co/owner/name/resolve/main/");
  assert.equal(hubUrl("owner/name", "refs/pr/1", "http://hub/"), "http://hub/owner/name/resolve/refs%2Fpr%2F1/");
});

test("what would lead elsewhere", () => {
  for (const id of ["", "name", "a/b/c", "a/..", "../b", "a/b?x", "a/b#x", "a//b", "a/b.git", "a\\b", 5, undefined]) {
    assert.throws(() => hubUrl(/** @type {any} */ (id)), { name: "InputError", message: /is neither a folder/ });
  }
  for (const revision of ["", ".", "..", "\ud800", 5, null]) {
    assert.throws(() => hubUrl("a/b", /** @type {any} */ (revision)), { name: "InputError", message: /^revision is .*; give a branch/ });
  }
  for (const hub of ["", "hub", "http://[", "file:///etc", 5, null]) {
    assert.throws(() => hubUrl("a/b", "main", /** @type {any} */ (hub)), { name: "InputError", message: /^hub is .*; give its address/ });
  }
});
