/**
 * Corrections where JavaScript reads Unicode differently from the Rust tokenizers library.
 */

// GPT-2's regular expression with Unicode's white space: JavaScript's \s has U+FEFF and lacks U+0085.
const BYTE_LEVEL =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|" +
  "\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+";

/**
 * The same pre-tokenizer with the regular expression above in its byte-level parts, instead of the library's own.
 * @param {any} settings As in tokenizer.json.
 * @returns {any}
 */
export function withUnicodeSpaces(settings) {
  if (settings?.type === "Sequence") {
    return { ...settings, pretokenizers: settings.pretokenizers.map(withUnicodeSpaces) };
  }
  if (settings?.type !== "ByteLevel" || settings.use_regex === false || settings.add_prefix_space) return settings;
  const split = { type: "Split", pattern: { Regex: BYTE_LEVEL }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [split, { ...settings, use_regex: false }] };
}

/**
 * A function that prepares a text for the tokenizer.
 * @param {unknown} normalizer As in tokenizer.json.
 * @returns {(text: string) => string}
 */
export function preparation(normalizer) {
  if (!/"type":"Lowercase"|"lowercase":true/.test(JSON.stringify(normalizer))) return (text) => text;
  // JavaScript lower-cases a sigma at the end of a word to another letter than elsewhere; the tokenizers library lower-cases
  // each character for itself.
  return (text) => text.replaceAll("\u03a3", "\u03c3");
}
