/** The direction of imports between the rooms of src/. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { WEB } from "../artifacts.js";

// Each room may import those before it; the files at the top may import all, and errors.js may be imported by all.
const ROOMS = ["artifact", "text", "engine", "proof"];
const SOURCES = `${WEB}src`;

test("rooms import only those before them, types included", () => {
  const found = readdirSync(SOURCES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(found.map(({ name }) => name).sort(), [...ROOMS].sort());
  for (const [place, room] of ROOMS.entries()) {
    const allowed = ROOMS.slice(0, place + 1);
    for (const name of readdirSync(join(SOURCES, room))) {
      const path = join(SOURCES, room, name);
      for (const [, imported] of readFileSync(path, "utf8").matchAll(/(?:from |import\(|import )"(\.[^"]+)"/g)) {
        const target = relative(SOURCES, join(dirname(path), imported));
        assert.ok(target === "errors.js" || allowed.includes(dirname(target)), `${room}/${name} imports ${target}`);
      }
    }
  }
});
