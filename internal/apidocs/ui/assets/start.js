// Starts Swagger UI on the document beside the page. Tokens are kept in variables of this
// page alone: not in storage, which any script of the origin could read for ever after.
"use strict";

(() => {
  const byID = id => document.getElementById(id);
  const address = byID("json").href;
  const root = new URL(byID("start").dataset.root, document.baseURI);
  const patience = 60000; // milliseconds for the document
  const expandUpTo = 100; // operations, beyond which the tags are closed at first
  const longestAnswer = 256 << 10; // characters of an answer in which a token is looked for

  let token = ""; // with which the document was loaded, "" for none
  let ui = null;

  // show shows one of the page's parts and hides the others.
  function show(id) {
    for (const part of ["state", "problem", "access"]) byID(part).hidden = part !== id;
  }

  function fail(text) {
    byID("problem-text").textContent = text;
    show("problem");
  }

  // refusal says what came instead of the document, from the gateway's error shape where
  // it is one.
  async function refusal(answer) {
    let error = {};
    try {
      error = (await answer.json()).error || {};
    } catch { /* no JSON: the status has to do */ }
    const what = [error.code || "An error", `(${answer.status})`].join(" ");
    const id = error.request_id || answer.headers.get("X-Request-ID");
    return what + (error.message ? `: ${error.message}.` : ".") + (id ? ` Request id: ${id}` : "");
  }

  function request(url, bearer) {
    const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {};
    return fetch(url, { headers, cache: "no-cache", signal: AbortSignal.timeout(patience) });
  }

  // load gets the document and shows it, or says why not.
  async function load(bearer) {
    let answer;
    show("state");
    try {
      answer = await request(address, bearer);
    } catch {
      return fail("The document could not be loaded: the gateway did not answer.");
    }
    if (answer.status === 401 || answer.status === 403) return ask(bearer ? await refusal(answer) : "");
    if (!answer.ok) return fail(`The document could not be loaded. ${await refusal(answer)}`);
    let doc = null;
    try {
      doc = await answer.json();
    } catch { /* said below */ }
    if (!doc || typeof doc !== "object" || typeof doc.openapi !== "string") {
      return fail("The document could not be loaded: what came is no OpenAPI document.");
    }
    token = bearer;
    start(doc);
  }

  // ask shows the form for a token, and what was wrong with the last one.
  function ask(text) {
    byID("refusal").textContent = text;
    show("access");
    byID("token").focus();
    byID("token").select();
  }

  function submit(event) {
    event.preventDefault();
    const text = byID("token").value.trim().replace(/^bearer\s+/i, "");
    if (!/^[\x21-\x7e]+$/.test(text)) return ask("A token has neither spaces nor letters beyond ASCII.");
    load(text);
  }

  // save fetches a raw document with the token, which following a link would not send.
  async function save(event) {
    if (!token) return;
    event.preventDefault();
    const link = event.currentTarget;
    try {
      const answer = await request(link.href, token);
      if (!answer.ok) return fail(`The document could not be saved. ${await refusal(answer)}`);
      const file = document.createElement("a");
      file.href = URL.createObjectURL(await answer.blob());
      file.download = link.dataset.file;
      file.click();
      setTimeout(() => URL.revokeObjectURL(file.href), 60000);
      byID("problem").hidden = true;
    } catch {
      fail("The document could not be saved: the gateway did not answer.");
    }
  }

  // tell names the services whose documents are missing or old. One that has none, and is to
  // have none, is no alarm.
  function tell(doc) {
    const sources = Array.isArray(doc["x-yett-sources"]) ? doc["x-yett-sources"] : [];
    const items = sources.filter(s => s && (s.state === "waiting" || s.state === "stale")).map(s => {
      const item = document.createElement("li");
      item.textContent = `${s.service}: ${s.state}` + (s.problem ? `, ${s.problem}` : "");
      return item;
    });
    byID("sources").replaceChildren(...items);
    byID("notice").hidden = items.length === 0;
  }

  // here returns the servers that this page may call, which are those of its own origin.
  // Where the document names none, it is the gateway's root, as the browser sees it.
  function here(servers) {
    const own = root.href.replace(/\/$/, "");
    const list = (Array.isArray(servers) ? servers : []).map(s => {
      try {
        const url = new URL(s.url, address);
        return { ...s, url: s.url === "/" ? own : url.href.replace(/\/$/, ""), own: url.origin === location.origin };
      } catch {
        return { own: false };
      }
    }).filter(s => s.own).map(({ own: _, ...server }) => server);
    return list.length > 0 ? list : [{ url: own }];
  }

  function operations(doc) {
    const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    return Object.values(doc.paths || {}).reduce((n, item) => n + methods.filter(m => item && item[m]).length, 0);
  }

  // bearers names the schemes of the document that take a token in Authorization.
  function bearers(doc) {
    const schemes = (doc.components && doc.components.securitySchemes) || {};
    return Object.keys(schemes).filter(name => {
      const s = schemes[name] || {};
      return s.type === "http" && String(s.scheme).toLowerCase() === "bearer";
    });
  }

  // tokenIn finds an access token in an answer: at the top, or one level below.
  function tokenIn(response) {
    const status = response && response.get("status"), text = response && response.get("text");
    if (!(status >= 200 && status < 300) || typeof text !== "string" || text.length > longestAnswer) return "";
    let top;
    try {
      top = JSON.parse(text);
    } catch {
      return "";
    }
    if (!top || typeof top !== "object") return "";
    for (const place of [top, ...Object.values(top)]) {
      if (!place || typeof place !== "object") continue;
      for (const name of ["access_token", "accessToken", "token"]) {
        if (typeof place[name] === "string" && /^[A-Za-z0-9._~+/-]{16,}=*$/.test(place[name])) return place[name];
      }
    }
    return "";
  }

  // offering is a plugin: below the answer to a login stands a button that authorizes all
  // further calls with the token in it.
  const offering = schemes => () => ({
    wrapComponents: {
      liveResponse: (Original, { React, getSystem }) => props => {
        const found = React.useMemo(() => (schemes.length > 0 ? tokenIn(props.response) : ""), [props.response]);
        const [used, use] = React.useState("");
        const accept = () => {
          authorize(getSystem(), schemes, found);
          use(found);
        };
        const offer = found && React.createElement("div", { className: "offer", role: "status" },
          used === found ? "Authorized: further calls carry this token."
            : ["This answer has an access token.", React.createElement("button", { type: "button", key: "b", onClick: accept }, "Authorize with this token")]);
        return React.createElement(React.Fragment, null, offer || null, React.createElement(Original, props));
      },
    },
  });

  // parsed is a plugin: Swagger UI takes the document as it is, and does not read its text
  // again as YAML, which costs large ones seconds.
  const parsed = spec => () => ({
    statePlugins: { spec: { wrapActions: { parseToJson: (_, { specActions }) => () => specActions.updateJsonSpec(spec) } } },
  });

  function authorize(system, schemes, bearer) {
    const known = system.specSelectors.specJson().getIn(["components", "securitySchemes"]);
    for (const name of schemes) {
      system.authActions.authorize({ [name]: { name, schema: known.get(name), value: bearer } });
    }
  }

  function start(doc) {
    const title = (doc.info && doc.info.title) || document.title;
    document.title = title;
    byID("title").textContent = title;
    tell(doc);
    show("");
    const schemes = bearers(doc);
    const spec = { ...doc, servers: here(doc.servers) };
    ui = window.SwaggerUIBundle({
      dom_id: "#swagger",
      spec,
      layout: "BaseLayout",
      presets: [window.SwaggerUIBundle.presets.apis],
      plugins: [parsed(spec), offering(schemes)],
      deepLinking: true,
      displayRequestDuration: true,
      docExpansion: operations(doc) > expandUpTo ? "none" : "list",
      filter: true,
      persistAuthorization: false,
      queryConfigEnabled: false, // what the page does is not up to who wrote a link to it
      tryItOutEnabled: true,
      validatorUrl: null,
      onComplete: () => {
        if (token) authorize(ui.getSystem(), schemes, token);
      },
    });
  }

  byID("access").addEventListener("submit", submit);
  byID("again").addEventListener("click", () => load(token));
  for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", save);
  if (typeof window.SwaggerUIBundle === "function") {
    load("");
  } else {
    byID("again").addEventListener("click", () => location.reload());
    fail("A part of this page could not be loaded.");
  }
})();
