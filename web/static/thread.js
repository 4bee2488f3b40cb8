// @ts-check
// One thread: replays its event log over SSE and goes on live. EventSource resumes by Last-Event-ID on its own.
import { call, element, renderDiff, showError } from "./api.js";

const log = /** @type {HTMLElement} */ (document.getElementById("log"));
const approvals = /** @type {HTMLElement} */ (document.getElementById("approvals"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("say"));
const threadId = log.dataset.thread;
const base = `/api/v1/threads/${threadId}`;
/** @type {Map<string, HTMLElement>} */
const nodes = new Map();
let runId = "";

/** @param {string} id @param {() => HTMLElement} make */
function node(id, make) {
  let found = nodes.get(id);
  if (!found) {
    found = make();
    nodes.set(id, found);
    log.append(found);
  }
  return found;
}

/** @param {string} id @param {string} role */
const bubble = (id, role) => node(id, () => element("div", `message ${role}`, ""));

/** @param {string} id @param {string} name */
function toolCard(id, name) {
  return node(`tool:${id}`, () => {
    const card = element("details", "tool");
    card.append(element("summary", "", name), element("pre", "args", ""), element("pre", "result", ""));
    return card;
  });
}

/** @param {HTMLElement} card @param {string} part */
const part = (card, part) => /** @type {HTMLElement} */ (card.querySelector(`.${part}`));

/** @param {string} text */
function status(text) {
  const chip = /** @type {HTMLElement} */ (document.getElementById("status"));
  chip.textContent = text;
  chip.className = `chip ${text}`;
  document.title = document.title.replace(/^● /, "");
  if (text === "interrupted") document.title = `● ${document.title}`;
}

/** @param {any} interrupt */
function approvalCard(interrupt) {
  if (document.getElementById(`approval-${interrupt.id}`)) return;
  const facts = interrupt.metadata ?? {};
  const card = element("section", "approval");
  card.id = `approval-${interrupt.id}`;
  card.append(element("strong", "", `${facts.agent ?? "agent"} asks: ${facts.tool ?? interrupt.reason}`));
  card.append(element("p", "", `${facts.reason ?? interrupt.message ?? ""} · risk ${facts.risk ?? "?"}`));
  const preview = facts.preview ?? {};
  const pre = element("pre", "diff", "");
  if (preview.kind === "diff") renderDiff(pre, preview.diff ?? "");
  else pre.textContent = preview.command ?? preview.text ?? JSON.stringify(preview.questions ?? facts.arguments, null, 2);
  card.append(pre);
  for (const warning of preview.warnings ?? []) card.append(element("p", "warning", warning));
  const args = /** @type {HTMLTextAreaElement} */ (element("textarea", "args"));
  args.value = JSON.stringify(facts.arguments ?? {}, null, 2);
  args.rows = 6;
  args.hidden = true;
  args.setAttribute("aria-label", "Arguments");
  const words = /** @type {HTMLInputElement} */ (element("input", ""));
  words.placeholder = "Feedback or answer";
  words.setAttribute("aria-label", "Feedback or answer");
  const row = element("div", "row");
  const error = element("p", "error", "");
  error.hidden = true;
  /** @param {string} decision */
  const decide = async (decision) => {
    try {
      if (decision === "edit" && args.hidden) {
        args.hidden = false;
        args.focus();
        return;
      }
      await call("POST", `/api/v1/approvals/${interrupt.id}`, {
        decision,
        message: words.value || null,
        arguments: decision === "edit" ? JSON.parse(args.value) : null,
      });
      card.remove();
    } catch (problem) {
      error.textContent = problem instanceof Error ? problem.message : String(problem);
      error.hidden = false;
    }
  };
  for (const decision of facts.allowed_decisions ?? ["approve", "edit", "reject"]) {
    const button = element("button", decision === "approve" ? "" : "quiet", decision);
    button.addEventListener("click", () => decide(decision));
    row.append(button);
  }
  card.append(args, words, row, error);
  approvals.append(card);
}

/** @param {any} value */
function superseded(value) {
  for (const id of value.message_ids ?? []) nodes.get(id)?.remove();
  for (const id of value.tool_call_ids ?? []) nodes.get(`tool:${id}`)?.remove();
}

/** @type {Record<string, (event: any) => void>} */
const custom = {
  agent_switched: (v) => {
    log.append(element("div", "divider", `${v.source ?? "start"} → ${v.target}: ${v.reason}`));
    /** @type {HTMLElement} */ (document.getElementById("agent")).textContent = v.target;
  },
  approval_requested: approvalCard,
  approval_decided: (v) => document.getElementById(`approval-${v.approval_id}`)?.remove(),
  attempt_superseded: superseded,
};

/** @type {Record<string, (event: any) => void>} */
const handlers = {
  RUN_STARTED: (e) => { runId = e.runId; status("busy"); },
  RUN_FINISHED: (e) => status(e.outcome?.type === "interrupt" ? "interrupted" : "idle"),
  RUN_ERROR: (e) => { log.append(element("p", "error", e.message)); status("error"); },
  TEXT_MESSAGE_CHUNK: (e) => { bubble(e.messageId, e.role).textContent = e.delta; },
  TEXT_MESSAGE_START: (e) => { bubble(e.messageId, "assistant"); },
  TEXT_MESSAGE_CONTENT: (e) => bubble(e.messageId, "assistant").append(e.delta),
  TOOL_CALL_START: (e) => { toolCard(e.toolCallId, e.toolCallName); },
  TOOL_CALL_ARGS: (e) => part(toolCard(e.toolCallId, "tool"), "args").append(e.delta),
  TOOL_CALL_RESULT: (e) => {
    const card = toolCard(e.toolCallId, "tool");
    part(card, "result").textContent = e.content;
    card.classList.add(e.metadata?.status ?? "success");
  },
  CUSTOM: (e) => custom[e.name]?.(e.value),
};

const stream = new EventSource(`${base}/events`);
stream.onmessage = (message) => {
  const event = JSON.parse(message.data);
  handlers[event.type]?.(event);
  window.scrollTo({ top: document.body.scrollHeight });
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = /** @type {HTMLTextAreaElement} */ (document.getElementById("text"));
  try {
    showError(form, null);
    await call("POST", `${base}/runs`, { text: field.value });
    field.value = "";
    approvals.replaceChildren();
  } catch (error) {
    showError(form, error);
  }
});

document.getElementById("stop")?.addEventListener("click", () => {
  if (runId) call("POST", `${base}/runs/${runId}/cancel`).catch((error) => showError(form, error));
});

document.getElementById("changes")?.addEventListener("click", async () => {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("diff"));
  try {
    const changes = await call("GET", `${base}/changes`);
    renderDiff(/** @type {HTMLElement} */ (dialog.querySelector("pre")), changes.diff || "No changes yet.");
    dialog.showModal();
  } catch (error) {
    showError(form, error);
  }
});
