/**
 * Texts to prompts: one prompt per pair or text, cut so that prefix and suffix always survive.
 */
import { InputError, show } from "../errors.js";

/** @typedef {import("../artifact/contract.js").Prompt} Prompt */
/** @typedef {import("../artifact/contract.js").Texts} Texts */
/** @typedef {import("../artifact/contract.js").TextPrompt} TextPrompt */
/** @typedef {import("../artifact/contract.js").Expansion} Expansion */
/** @typedef {import("./tokenizer.js").TextTokenizer} TextTokenizer */

// Unlike trim(), Python's str.strip removes U+001C to U+001F and U+0085, and keeps the byte order mark.
const PYTHON_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/**
 * The token ids of a prompt, and of its three parts: the instruction's (shared by queries), the query's (shared by
 * documents), the document's. `truncated` if any text was cut.
 * @typedef {{token_ids: number[], instruction: number[], query: number[], document: number[],
 *   truncated: boolean}} EncodedPair
 */
/**
 * The token ids of one text, of which attention sees the first `attended`; `truncated` if its end was cut off.
 * @typedef {{token_ids: number[], attended: number, truncated: boolean}} EncodedText
 */

export class PromptEncoder {
  #tokenizer;
  #prompt;
  #room;

  /**
   * @param {TextTokenizer} tokenizer
   * @param {Prompt} prompt
   * @param {number} maxLength Tokens.
   * @throws {InputError} For a maxLength that the prompt alone exceeds.
   */
  constructor(tokenizer, prompt, maxLength) {
    this.#tokenizer = tokenizer;
    this.#prompt = prompt;
    const fixed =
      prompt.prefix_token_ids.length + prompt.separator_token_ids.length + prompt.suffix_token_ids.length;
    this.#room = room(maxLength, fixed);
  }

  /**
   * Encode a query with each of its documents; an instruction of undefined or null means the model's default.
   * @param {string} query
   * @param {string[]} documents
   * @param {string | null | undefined} instruction
   * @param {boolean} special_tokens
   * @returns {EncodedPair[]}
   */
  pairs(query, documents, instruction, special_tokens) {
    const prompt = this.#prompt;
    const slots = { query, instruction: chosen(instruction, prompt.default_instruction) };
    const pieces = [fill(prompt.instruction, slots), fill(prompt.query, slots)];
    for (const document of documents) pieces.push(fill(prompt.document, { ...slots, document }));
    const [first, second, ...bodies] = this.#tokenizer.encode(pieces, special_tokens);
    // Pairs that are encoded whole share the tokens with which all of them start.
    const shared = prompt.document.includes("{query}") ? sharedTokens(bodies) : 0;
    return bodies.map((body) => this.#join(first, [...second, ...body.slice(0, shared)], body.slice(shared)));
  }

  /**
   * @param {number[]} instruction
   * @param {number[]} query
   * @param {number[]} document
   * @returns {EncodedPair}
   */
  #join(instruction, query, document) {
    const prompt = this.#prompt;
    const before = instruction.length + query.length;
    const [first, second] =
      prompt.truncation === "longest_first"
        ? longestFirst(before, document.length, this.#room)
        : [this.#room, Math.max(0, this.#room - before)];
    const parts = {
      instruction: [...prompt.prefix_token_ids, ...instruction.slice(0, first)],
      query: [...query.slice(0, Math.max(0, first - instruction.length)), ...prompt.separator_token_ids],
      document: [...document.slice(0, second), ...prompt.suffix_token_ids],
    };
    return {
      ...parts,
      token_ids: [...parts.instruction, ...parts.query, ...parts.document],
      truncated: before > first || document.length > second,
    };
  }
}

export class TextEncoder {
  #tokenizer;
  #texts;
  #expansion;

  /**
   * @param {TextTokenizer} tokenizer
   * @param {Texts} texts
   * @param {Expansion | null} expansion
   * @throws {InputError} For a max_length that a prompt alone exceeds.
   */
  constructor(tokenizer, texts, expansion) {
    this.#tokenizer = tokenizer;
    this.#texts = texts;
    this.#expansion = expansion;
    for (const prompt of [texts.query, texts.document]) roomOf(prompt);
  }

  /**
   * @param {string[]} texts
   * @param {boolean} is_query
   * @param {boolean} special_tokens
   * @returns {EncodedText[]}
   */
  texts(texts, is_query, special_tokens) {
    const { strip, lower_case, default_instruction } = this.#texts;
    const prompt = is_query ? this.#texts.query : this.#texts.document;
    const filled = texts.map((text) => {
      const whole = fill(prompt.template, { instruction: default_instruction ?? "", text });
      const stripped = strip ? pythonStrip(whole) : whole;
      return lower_case ? stripped.toLowerCase() : stripped;
    });
    return this.#tokenizer
      .encode(filled, special_tokens)
      .map((ids) => this.#join(prompt, ids, is_query ? this.#expansion : null));
  }

  /**
   * @param {TextPrompt} prompt
   * @param {number[]} ids
   * @param {Expansion | null} expansion
   * @returns {EncodedText}
   */
  #join(prompt, ids, expansion) {
    const space = roomOf(prompt);
    const token_ids = [...prompt.prefix_token_ids, ...ids.slice(0, space), ...prompt.suffix_token_ids];
    let attended = token_ids.length;
    if (expansion) {
      while (token_ids.length < prompt.max_length) token_ids.push(expansion.token_id);
      if (expansion.attend) attended = token_ids.length;
    }
    return { token_ids, attended, truncated: ids.length > space };
  }
}

/**
 * With how many tokens all of several sequences start; each keeps one of its own. 0 for a lone one.
 * @param {number[][]} sequences
 */
export function sharedTokens(sequences) {
  if (sequences.length < 2) return 0;
  const [first, ...others] = sequences;
  const longest = Math.max(0, Math.min(...sequences.map(({ length }) => length)) - 1);
  const end = first.slice(0, longest).findIndex((id, i) => others.some((other) => other[i] !== id));
  return end < 0 ? longest : end;
}

/**
 * How many tokens of two texts remain, as the tokenizers library cuts them: the longer one gives way until both have
 * half of the room.
 * @param {number} first
 * @param {number} second
 * @param {number} space
 * @returns {[number, number]}
 */
export function longestFirst(first, second, space) {
  if (first + second <= space) return [first, second];
  let shorter = Math.min(first, second);
  let longer = Math.max(shorter, space - shorter);
  if (shorter + longer > space) {
    shorter = Math.floor(space / 2);
    longer = space - shorter;
  }
  return first <= second ? [shorter, longer] : [longer, shorter];
}

/**
 * @param {string | null | undefined} instruction
 * @param {string | null} standard
 */
function chosen(instruction, standard) {
  if (instruction === undefined || instruction === null) return standard ?? "";
  if (standard === null) {
    throw new InputError(`instruction is ${show(instruction)}, and this model takes none; leave it out.`);
  }
  return instruction;
}

/** @param {TextPrompt} prompt */
function roomOf(prompt) {
  return room(prompt.max_length, prompt.prefix_token_ids.length + prompt.suffix_token_ids.length);
}

/**
 * @param {number} maxLength
 * @param {number} fixed
 */
function room(maxLength, fixed) {
  if (maxLength <= fixed) {
    throw new InputError(
      `max_length ${maxLength} leaves no room for text: this prompt alone takes ${fixed} tokens; give at least ${fixed + 1}.`,
    );
  }
  return maxLength - fixed;
}

/**
 * @param {string} template
 * @param {Record<string, string>} slots
 */
function fill(template, slots) {
  // All slots are filled in one pass, because a text may itself hold what looks like a slot.
  return template.replace(/\{(\w+)\}/g, (whole, slot) => (Object.hasOwn(slots, slot) ? slots[slot] : whole));
}

/** @param {string} text */
function pythonStrip(text) {
  // By steps: a regular expression for the end takes time by the square of a run of spaces inside the text.
  let [start, end] = [0, text.length];
  while (start < end && PYTHON_SPACE.test(text[start])) start++;
  while (start < end && PYTHON_SPACE.test(text[end - 1])) end--;
  return text.slice(start, end);
}
