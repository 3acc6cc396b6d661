/**
 * Where JavaScript reads Unicode differently than the tokenizers library does.
 */

// GPT-2's, with white space as Unicode has it: JavaScript's \s has U+FEFF and lacks U+0085.
const BYTE_LEVEL =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|" +
  "\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+";

/**
 * A pre-tokenizer whose byte-level parts bring their regular expression instead of the library's own.
 * @param {any} settings As in tokenizer.json.
 * @returns {any}
 */
export function spelledOut(settings) {
  if (settings?.type === "Sequence") {
    return { ...settings, pretokenizers: settings.pretokenizers.map(spelledOut) };
  }
  if (settings?.type !== "ByteLevel" || settings.use_regex === false || settings.add_prefix_space) return settings;
  const split = { type: "Split", pattern: { Regex: BYTE_LEVEL }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [split, { ...settings, use_regex: false }] };
}

/**
 * What is done to a text before it is tokenized.
 * @param {unknown} normalizer As in tokenizer.json.
 * @returns {(text: string) => string}
 */
export function preparation(normalizer) {
  if (!/"type":"Lowercase"|"lowercase":true/.test(JSON.stringify(normalizer))) return (text) => text;
  // JavaScript lower-cases a sigma at a word's end to another letter than elsewhere; tokenizers, character by
  // character, do not.
  return (text) => text.replaceAll("\u03a3", "\u03c3");
}
