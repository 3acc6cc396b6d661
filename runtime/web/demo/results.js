/**
 * A ranked list with score bars. Texts are set as text, never as markup.
 */

/** @typedef {{corpus_id: number, score: number, truncated: boolean, text?: string}} Hit */

/**
 * @param {string} title
 * @param {Hit[]} hits
 * @param {number} milliseconds For each document.
 * @param {boolean} bounded Whether scores are between 0 and 1.
 * @returns {DocumentFragment}
 */
export function show(title, hits, milliseconds, bounded) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById("result"));
  const section = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  put(section, "h2", title);
  put(section, ".facts", `${milliseconds.toFixed(1)} ms a document`);
  const scores = hits.map((hit) => hit.score);
  const [low, high] = bounded ? [0, 1] : [Math.min(...scores), Math.max(...scores)];
  section.querySelector("ol")?.append(...hits.map((hit) => row(hit, (hit.score - low) / (high - low || 1))));
  return section;
}

/**
 * @param {Hit} hit
 * @param {number} part Of the bar's track.
 */
function row({ score, truncated, text = "" }, part) {
  const item = add(null, "li", "hit");
  const line = add(item, "div", "score");
  add(line, "span", "number").textContent = score.toFixed(4);
  add(add(line, "div", "track"), "div", "bar").style.width = `${(100 * part).toFixed(1)}%`;
  add(item, "div", "text").textContent = truncated ? `${text} (cut)` : text;
  return item;
}

/**
 * @param {HTMLElement | null} parent
 * @param {string} tag
 * @param {string} name
 */
function add(parent, tag, name) {
  const element = document.createElement(tag);
  element.className = name;
  parent?.append(element);
  return element;
}

/**
 * @param {DocumentFragment} parent
 * @param {string} selector
 * @param {string} text
 */
function put(parent, selector, text) {
  const element = parent.querySelector(selector);
  if (element) element.textContent = text;
}
