// @ts-check
// One small client of the REST API: JSON in, JSON out, problems as errors.

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const data = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(data?.detail ?? `HTTP ${response.status}`);
  return data;
}

/** @param {HTMLElement} form @param {unknown} error */
export function showError(form, error) {
  const place = /** @type {HTMLElement} */ (form.querySelector(".error"));
  place.textContent = error instanceof Error ? error.message : String(error ?? "");
  place.hidden = !error;
}

/**
 * Make an element. Text is always set as text, never as markup.
 * @param {string} tag @param {string} className @param {string} [text]
 */
export function element(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** @param {HTMLElement} pre @param {string} diff */
export function renderDiff(pre, diff) {
  pre.replaceChildren();
  for (const line of diff.split("\n")) {
    const kind = line.startsWith("@@") ? "hunk" : line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : "";
    pre.append(element("span", kind, line + "\n"));
  }
}
