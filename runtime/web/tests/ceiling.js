/**
 * What Chromium computes at best on WASM with one thread, in billions of multiplications and additions a second:
 * `node tests/ceiling.js`. The loops are those of matrix products whose operands stay in the nearest cache.
 */
import wabtModule from "wabt";
import { launch } from "./browser/chromium.js";

// Rows and columns of sums that are kept at once.
const ROWS = 4;
const COLUMNS = 2;
const DEPTH = 256;
// ONNX Runtime Web multiplies integers of 16 bits; no build in its npm package has the relaxed instructions.
const KERNELS = {
  "integers of 16 bits": {
    multiplies: 8,
    step: "(i32x4.add (local.get $s) (i32x4.dot_i16x8_s (local.get $a) (local.get $b)))",
  },
  "integers of 8 bits, relaxed": {
    multiplies: 16,
    step: "(i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get $b) (local.get $a) (local.get $s))",
  },
  "float32": { multiplies: 4, step: "(f32x4.add (local.get $s) (f32x4.mul (local.get $a) (local.get $b)))" },
  "float32, relaxed": { multiplies: 4, step: "(f32x4.relaxed_madd (local.get $a) (local.get $b) (local.get $s))" },
};

/** @param {string} step */
function textOf(step) {
  const rows = [...Array(ROWS).keys()];
  const columns = [...Array(COLUMNS).keys()];
  const sums = rows.flatMap((row) => columns.map((column) => `$s${row}_${column}`));
  const names = [...sums, "$a", ...columns.map((column) => `$b${column}`)];
  const loads = columns.map((i) => `(local.set $b${i} (v128.load offset=${16 * i} (local.get $right)))`);
  const steps = rows.flatMap((row) => [
    `(local.set $a (v128.load32_splat offset=${4 * row} (local.get $left)))`,
    ...columns.map((column) => {
      const sum = `$s${row}_${column}`;
      return `(local.set ${sum} ${step.replace("$b", `$b${column}`).replace("$s", sum)})`;
    }),
  ]);
  return `(module (memory 1) (func (export "run") (param $times i32) (result i32)
    (local $left i32) (local $right i32) (local $i i32) ${names.map((name) => `(local ${name} v128)`).join(" ")}
    (loop $again
      (local.set $left (i32.const 0)) (local.set $right (i32.const 32768)) (local.set $i (i32.const ${DEPTH}))
      (loop $inner
        ${[...loads, ...steps].join("\n")}
        (local.set $left (i32.add (local.get $left) (i32.const ${4 * ROWS})))
        (local.set $right (i32.add (local.get $right) (i32.const ${16 * COLUMNS})))
        (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
    (i32x4.extract_lane 0 ${sums.map((sum) => `(local.get ${sum})`).reduce((a, b) => `(v128.xor ${a} ${b})`)})))`;
}

/**
 * In the page: the fastest of some runs, in seconds.
 * @param {{bytes: number[], times: number}} kernel
 */
async function fastest({ bytes, times }) {
  const { instance } = await WebAssembly.instantiate(new Uint8Array(bytes));
  const run = /** @type {(times: number) => number} */ (instance.exports.run);
  let best = Infinity;
  for (let i = 0; i < 6; i++) {
    const start = performance.now();
    run(times);
    best = Math.min(best, performance.now() - start);
    // The optimizing compiler is ready by the second run.
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return best / 1000;
}

const wabt = await wabtModule();
const browser = await launch();
const page = await browser.newPage();
const times = 200_000;
for (const [name, { multiplies, step }] of Object.entries(KERNELS)) {
  const module = wabt.parseWat(name, textOf(step), { simd: true, relaxed_simd: true });
  const seconds = await page.evaluate(fastest, { bytes: [...module.toBinary({}).buffer], times });
  const operations = 2 * multiplies * ROWS * COLUMNS * DEPTH * times;
  process.stdout.write(`${name}: ${Math.round(operations / seconds / 1e9)}\n`);
}
await browser.close();
