/**
 * Progress as Transformers.js reports it: per file, and of the whole download.
 */

/**
 * status: "progress" (a file), "progress_total" (all of them), "loading" (into the device) or "checking" (its scores).
 * loaded and total are in bytes, progress in percent.
 * @typedef {{status: string, file?: string, loaded?: number, total?: number, progress?: number,
 *   device?: string}} ProgressInfo
 */
/** @typedef {(info: ProgressInfo) => void} ProgressCallback */

/**
 * A function that reports how many bytes of a graph's files there are, and that they are loaded once they all are there.
 * @param {import("./variant.js").GraphFiles} graph
 * @param {string} device
 * @param {ProgressCallback} callback
 * @returns {(file: string, loaded: number) => void}
 */
export function progressOf({ model, data, unpack }, device, callback) {
  const files = [model, ...data, ...(unpack ? [unpack] : [])];
  const sizes = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const found = new Map();
  const all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  return (file, loaded) => {
    found.set(file, loaded);
    const total = sizes.get(file) ?? loaded;
    callback({ status: "progress", file, loaded, total, progress: percent(loaded, total) });
    const sum = [...found.values()].reduce((a, b) => a + b, 0);
    callback({ status: "progress_total", loaded: sum, total: all, progress: percent(sum, all) });
    if (sum === all) callback({ status: "loading", device });
  };
}

/**
 * @param {number} part
 * @param {number} whole
 */
function percent(part, whole) {
  return whole ? (100 * part) / whole : 100;
}
