// @ts-check
import { call, showError } from "./api.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("new-task"));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  try {
    showError(form, null);
    const text = String(fields.get("text"));
    const thread = await call("POST", "/api/v1/threads", {
      workspace_id: fields.get("workspace"),
      title: text.slice(0, 80),
    });
    await call("POST", `/api/v1/threads/${thread.id}/runs`, { text, agent: fields.get("agent") || null });
    location.assign(`/t/${thread.id}`);
  } catch (error) {
    showError(form, error);
  }
});
