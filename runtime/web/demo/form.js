/**
 * What the forms of both pages do: one action at a time, and a line that says how it goes.
 */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export const element = (id) => /** @type {T} */ (document.getElementById(id));

/**
 * Run an action while the button is off; say what went wrong.
 * @param {() => Promise<void>} action
 */
export async function act(action) {
  /** @type {HTMLButtonElement} */
  const button = element("rank");
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), true);
  } finally {
    button.disabled = false;
  }
}

/**
 * @param {string} text
 * @param {boolean} [wrong]
 */
export function say(text, wrong = false) {
  const status = element("status");
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
}
