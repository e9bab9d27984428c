"use strict";
// The built-in pages: every form is sent by fetch to the same REST interface
// that any other frontend uses. Failures show the problem's "error" and "fields".

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

class Failure extends Error {
  constructor(status, problem) {
    super(problem.error || "Something went wrong. Try again later.");
    this.status = status;
    this.fields = problem.fields || {};
  }
}

async function call(method, path, body, headers = {}) {
  const init = { method, headers: { Accept: "application/json", ...headers } };
  if (body instanceof FormData) {
    init.body = body;
  } else if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Failure(0, { error: "The service cannot be reached. Try again in a moment." });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Failure(response.status, answer);
  return answer;
}

// The place for sentences is the nearest one: of the section, or of the page.
const place = (element) => element.closest("section") || document;

function say(element, kind, sentence) {
  for (const other of ["notice", "error"]) {
    const p = one(`[data-${other}]`, place(element));
    if (!p) continue;
    p.hidden = other !== kind || !sentence;
    p.textContent = p.hidden ? "" : sentence;
  }
}

function clearFields(form) {
  for (const p of all(".field-error", form)) p.remove();
  for (const input of all("[aria-invalid]", form)) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}

function showFailure(element, failure) {
  say(element, "error", failure.message);
  let first;
  for (const [name, sentence] of Object.entries(failure.fields)) {
    const input = element.elements && element.elements.namedItem(name);
    if (!(input instanceof HTMLElement)) continue;
    const p = document.createElement("p");
    p.className = "field-error";
    p.id = `${input.id}-error`;
    p.textContent = sentence;
    input.after(p);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", p.id);
    first = first || input;
  }
  if (first) first.focus();
}

// run does what a form or button is for, once at a time.
async function run(element, work) {
  const buttons = element.tagName === "FORM" ? all("button", element) : [element];
  if (element.tagName === "FORM") clearFields(element);
  say(element, "notice", "");
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    showFailure(element, failure);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

const onSubmit = (form, work) => form && form.addEventListener("submit", (event) => {
  event.preventDefault();
  run(form, work);
});

const onClick = (button, work) => button && button.addEventListener("click", () => run(button, work));

const texts = (form) => Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === "string"));

// A token in the address is taken out of it at once, before anything can read it.
function takeToken() {
  const token = new URLSearchParams(location.search).get("token") || "";
  history.replaceState(null, "", location.pathname);
  return token;
}

for (const form of all("form[data-json]")) {
  const token = "token" in form.dataset ? takeToken() : undefined;
  onSubmit(form, async () => {
    const body = texts(form);
    if (token !== undefined) body.token = token;
    const answer = await call("POST", form.dataset.json, body);
    if (form.dataset.next) {
      location.assign(form.dataset.next.replace("{id}", encodeURIComponent(answer.id || "")));
      return;
    }
    say(form, "notice", answer.message);
    form.reset();
    if ("done" in form.dataset) form.hidden = true;
    if ("clear" in form.dataset && one("[data-about]")) showSessions();
  });
}

// The page of the account.

let user;

function showUser(next) {
  user = next;
  one('[data-show="name"]').textContent = `${user.first_name} ${user.last_name}`;
  one('[data-show="email"]').textContent = user.email;
  for (const input of all("[data-username]")) input.value = user.email;
  one('[data-show="joined"]').textContent = new Date(user.date_joined).toLocaleDateString();
  one("[data-picture]").src = user.thumbnail || "/assets/person.svg";
  one("[data-remove-picture]").hidden = !user.thumbnail;
  const values = { first_name: user.first_name, last_name: user.last_name, ...user.profile };
  for (const input of all("[data-profile] input")) input.value = values[input.name] || "";
}

function changedFields(form) {
  const values = { first_name: user.first_name, last_name: user.last_name, ...user.profile };
  const changed = Object.entries(texts(form)).filter(([name, value]) => value !== (values[name] || ""));
  return Object.fromEntries(changed.map(([name, value]) => [name, value === "" ? null : value]));
}

async function showSessions() {
  const list = one("[data-sessions]");
  const { sessions } = await call("GET", "/users/me/sessions/");
  list.replaceChildren(...sessions.map((session) => {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const seen = new Date(session.last_seen_at).toLocaleString();
    text.textContent = `${session.user_agent || "Unknown browser"} – ${session.current ? "this session" : `last seen ${seen}`}`;
    item.append(text);
    if (!session.current) {
      const end = document.createElement("button");
      end.type = "button";
      end.className = "second";
      end.textContent = "End";
      end.setAttribute("aria-label", `End the session last seen ${seen}`);
      onClick(end, async () => {
        const { message } = await call("DELETE", `/users/me/sessions/${session.id}/`);
        await showSessions();
        say(list, "notice", message);
      });
      item.append(end);
    }
    return item;
  }));
}

async function openAbout() {
  try {
    showUser(await call("GET", "/users/current-user/"));
    await showSessions();
  } catch (failure) {
    if (failure.status === 401) location.replace("/auth/login");
    else if (failure instanceof Failure) say(one("[data-profile]"), "error", failure.message);
    else throw failure;
    return;
  }
  history.replaceState(null, "", `/auth/about/${user.id}`);
}

// showErased leaves nothing of the person on the page.
function showErased() {
  const heading = element("h1", "Your account is erased");
  const card = element("section", "", heading, element("p", "Nobody can read your data any more. A last mail confirms it."));
  card.className = "card";
  heading.tabIndex = -1;
  one("[data-about]").replaceWith(card);
  one("[data-logout]").remove();
  heading.focus();
}

function setUpAbout() {
  const profile = one("[data-profile]");
  onSubmit(profile, async () => {
    showUser(await call("PATCH", "/users/me/", changedFields(profile), { "If-Match": `"${user.version}"` }));
    say(profile, "notice", "Your profile is saved.");
  });
  const upload = one("[data-upload]");
  onSubmit(upload, async () => {
    showUser(await call("PATCH", "/users/update-user/", new FormData(upload)));
    upload.reset();
    say(upload, "notice", "Your picture is saved.");
  });
  onClick(one("[data-remove-picture]"), async () => {
    showUser(await call("DELETE", "/users/me/thumbnail/"));
    say(upload, "notice", "Your picture is removed.");
  });
  onClick(one("[data-end-others]"), async () => {
    const { message } = await call("DELETE", "/users/me/sessions/");
    await showSessions();
    say(one("[data-sessions]"), "notice", message);
  });
  const erase = one("[data-erase]");
  onSubmit(erase, async () => {
    await call("DELETE", "/users/me/", { password: texts(erase).password });
    showErased();
  });
  onClick(one("[data-logout]"), async () => {
    await call("POST", "/users/logout/");
    location.assign("/auth/login");
  });
  openAbout();
}

if (one("[data-about]")) setUpAbout();

// The description, from openapi.json.

function element(name, text, ...children) {
  const e = document.createElement(name);
  if (text) e.textContent = text;
  e.append(...children);
  return e;
}

function resolve(document, value) {
  if (!value || !value.$ref) return value || {};
  return resolve(document, value.$ref.slice(2).split("/").reduce((at, key) => at[key], document));
}

function showContent(document, content) {
  return Object.entries(content || {}).flatMap(([type, media]) => {
    const parts = [element("div", type)];
    const examples = media.examples ? Object.values(media.examples).map((e) => resolve(document, e).value) : [media.example];
    for (const example of examples) {
      if (example !== undefined) parts.push(element("pre", typeof example === "string" ? example : JSON.stringify(example, null, 2)));
    }
    if (media.schema && parts.length === 1) parts.push(element("pre", JSON.stringify(resolve(document, media.schema), null, 2)));
    return parts;
  });
}

function showOperation(document, path, method, operation) {
  const answers = element("dl");
  for (const [status, answer] of Object.entries(operation.responses)) {
    const resolved = resolve(document, answer);
    answers.append(element("dt", status), element("dd", resolved.description, ...showContent(document, resolved.content)));
  }
  const body = operation.requestBody ? [element("h4", "Request"), ...showContent(document, resolve(document, operation.requestBody).content)] : [];
  const summary = element("summary", "", element("b", method.toUpperCase()), ` ${path} `);
  return element("details", "", summary, element("p", operation.summary), element("p", operation.description), ...body, element("h4", "Answers"), answers);
}

async function showDocs(article) {
  const description = await call("GET", "/openapi.json");
  const text = element("p", description.info.description);
  article.append(text);
  const verbs = ["get", "post", "patch", "delete"];
  for (const tag of description.tags || []) {
    article.append(element("h2", tag.name));
    for (const [path, item] of Object.entries(description.paths)) {
      for (const method of verbs) {
        if (item[method] && item[method].tags.includes(tag.name)) article.append(showOperation(description, path, method, item[method]));
      }
    }
  }
}

if (one("[data-docs]")) showDocs(one("[data-docs]"));
