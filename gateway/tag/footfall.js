// footfall.js: page views and clicks of a web page, to the gateway that serves this file. See docs/tag.md.
//
// Responsible for telling each event until the gateway has answered for it. Promises that an event keeps its event_id on
// every way, that no event of a page overtakes an earlier one, that nothing is stored or sent without leave, and that no
// value of a form is ever looked at. Leaves path, user agent, address and campaign to the gateway.
//
// `footfall.min.js` beside it is what is served: `npm run tag` in deploy/standalone/tests/clients makes it again.
(() => {
  const script = document.currentScript || document.querySelector('script[src*="footfall.js"]');
  const config = script.dataset;
  const api = (window.footfall = window.footfall || {});
  if (api.loaded) return;
  api.loaded = true;

  const url =
    (config.endpoint || new URL(script.src).origin).replace(/\/$/, '') +
    '/v1/events' +
    (config.key ? '?writeKey=' + encodeURIComponent(config.key) : '');
  const flushMs = +(config.flushMs || 1000);
  const batchMax = +(config.batch || 20);
  const queueMax = +(config.queue || 500);
  const counts = config.page != 'off';

  const PREFIX = 'footfall.';
  const SESSION_MS = 30 * 60 * 1000;
  // How long a page may take to object to being called dead.
  const CLAIM_MS = 2000;
  // By then a page in another process sees what was taken out of storage: browsers keep a copy in each.
  const SEEN_MS = 5000;
  // Keepalive requests may have 64 KiB in flight, and a character up to three bytes.
  const BODY_CHARS = 2e4;
  const CLICKABLE = 'a,button,[data-footfall],input[type=submit],input[type=button]';
  // `input` comes last, so that what is appended to it speaks of inputs alone.
  const SECRET = '[data-footfall-ignore],select,textarea,output,[contenteditable],input';
  const FIELD = SECRET + ':not([type=submit]):not([type=button])';

  const uuid = () =>
    // Only pages of secure origins have the first.
    crypto.randomUUID ? crypto.randomUUID() : crypto.getRandomValues(new Uint32Array(4)).join('-');

  // --- Storage: localStorage, and memory for what it does not take.

  const memory = {};
  const get = (name) => {
    try {
      return memory[name] || localStorage.getItem(PREFIX + name);
    } catch (blocked) {}
  };
  const set = (name, value) => {
    delete memory[name];
    try {
      if (value == null) localStorage.removeItem(PREFIX + name);
      else localStorage.setItem(PREFIX + name, value);
    } catch (blockedOrFull) {
      if (value != null) memory[name] = value;
    }
  };
  const names = () => {
    let keys = [];
    try {
      keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
    } catch (blocked) {}
    return keys.map((key) => key.slice(PREFIX.length)).concat(Object.keys(memory));
  };
  const forget = (names) => names.map((name) => set(name));

  // --- Leave to store and to send. Looked at each time: another tab may have changed it.

  const refuses = navigator.doNotTrack == 1 || window.doNotTrack == 1 || navigator.globalPrivacyControl;
  const allowed = () => !refuses && (get('consent') || (config.consent == 'required' ? 0 : 1)) == 1;

  // --- The queue: one for each page, in storage until the gateway has answered. A page that goes releases its queue by a
  // claim of age; a page that comes claims the queues it finds, and takes over those whose owners do not object in time.

  const mine = uuid();
  const QUEUE = 'queue.';
  const CLAIM = 'claim.';
  const read = (owner) => {
    try {
      return JSON.parse(get(QUEUE + (owner || mine))) || [];
    } catch (notOurs) {
      return [];
    }
  };
  const write = (queue) => {
    set(QUEUE + mine, queue.length ? JSON.stringify(queue) : null);
    set(CLAIM + mine);
  };
  let ready;
  // Two pages that come at the same time must not both take over the same queue: who sees one takes it alone.
  const adopt = (isLast, isAlone) => {
    if (!allowed()) return;
    const owners = names().filter((name) => name.startsWith(QUEUE)).map((name) => name.slice(QUEUE.length));
    const others = owners.filter((owner) => owner != mine);
    const dead = others.filter((owner) => {
      const claim = get(CLAIM + owner);
      return claim && Date.now() - claim >= CLAIM_MS;
    });
    if (!isLast && dead.length < others.length) {
      others.map((owner) => get(CLAIM + owner) || set(CLAIM + owner, Date.now()));
      return setTimeout(adopt, CLAIM_MS + 50, true);
    }
    if (dead[0] && navigator.locks && !isAlone) {
      const take = () => adopt(true, true);
      return navigator.locks.request(PREFIX, take).catch(take);
    }
    const found = dead.map(read);
    dead.map((owner) => forget([QUEUE + owner, CLAIM + owner]));
    found.sort(([a], [b]) => (a && b && a.event_time > b.event_time ? 1 : -1));
    if (found[0]) write(found.concat(read()).flat());
    ready = true;
    plan();
    return found[0] && new Promise((done) => setTimeout(done, SEEN_MS));
  };

  // --- Sending: one request at a time, so that a failed event is not overtaken by a later one.

  let timer;
  let isBusy;
  let batchNow = batchMax;
  let failures = 0;
  let lastStatus;
  let notBefore = 0;
  const plan = () => {
    const waiting = read().length;
    const delay = Math.max(waiting < batchMax && !failures ? flushMs : 0, notBefore - performance.now());
    if (waiting && !isBusy) {
      if (delay > 0) timer = timer || setTimeout(send, delay);
      else send();
    }
  };
  // `isLeaving`: nobody will hear the answer, so everything unanswered goes along, in order, whatever is on its way.
  const send = (isLeaving) => {
    clearTimeout(timer);
    timer = 0;
    if (!ready || !allowed() || (isBusy && isLeaving != 1)) return;
    if (notBefore > performance.now()) return plan();
    const queue = read();
    if (!queue.length) return;
    const sent_at = new Date().toISOString();
    let batch = queue.slice(0, isLeaving == 1 ? queueMax : batchNow);
    let body;
    while ((body = JSON.stringify(batch.map((event) => ({ ...event, sent_at })))).length > BODY_CHARS && batch[1])
      batch = batch.slice(0, batch.length / 2);
    const keepalive = body.length <= BODY_CHARS;
    // A browser that cannot keep a fetch alive has beacons.
    if (isLeaving == 1 && !('keepalive' in Request.prototype)) return navigator.sendBeacon(url, body);
    isBusy = true;
    // Text needs no preflight.
    fetch(url, { method: 'POST', body, keepalive, credentials: 'omit', signal: AbortSignal.timeout && AbortSignal.timeout(3e4) })
      .then(async (reply) => settle(batch, reply.status, reply.headers.get('retry-after'), await reply.json().catch(() => ({}))))
      .catch(() => settle(batch, 0, 0, {}));
  };
  const settle = (batch, status, retryAfter, answer) => {
    const { accepted, rejected = [] } = answer;
    isBusy = false;
    lastStatus = status;
    const isTaken = status == 200 && accepted >= 0;
    const isFinal = isTaken || (status > 399 && status < 500 && status != 408 && status != 429 && !retryAfter);
    const isPoisoned = (status == 400 || status == 413) && !(accepted >= 0) && batch[1];
    // One of many may be what the gateway cannot read: then each goes alone.
    batchNow = isPoisoned ? 1 : batchMax;
    if ((isFinal && !isTaken) || rejected[0]) console.warn('footfall', status, answer);
    if (isFinal) {
      failures = notBefore = 0;
    } else {
      const delay = retryAfter > 0 ? retryAfter * 1000 : Math.min(500 * 2 ** failures, 6e4);
      notBefore = performance.now() + delay * (1 + Math.random() / 4);
      failures++;
      // The gateway judged each event: what it neither took nor may take later is settled.
      if (accepted >= 0) {
        const again = rejected.filter(({ code }) => /^(over|drain|log_|delivery)/.test(code)).map(({ index }) => index);
        batch = batch.filter((event, index) => !again.includes(index));
      } else batch = [];
    }
    if (!isPoisoned) {
      const settled = batch.map((event) => event.event_id);
      write(read().filter((event) => !settled.includes(event.event_id)));
    }
    plan();
  };

  // --- Events.

  let dropped = 0;
  let isMoving;
  let seen;
  let referrer = document.referrer;
  const emit = (type, fields) => {
    if (!allowed()) return;
    const now = Date.now();
    let [session_id, last] = (get('session') || '').split('/');
    if (!(now - last < SESSION_MS)) session_id = uuid();
    set('session', session_id + '/' + now);
    if (!get('anonymous')) set('anonymous', uuid());
    const queue = read();
    if (queue.length >= queueMax) {
      dropped++;
      return;
    }
    queue.push({
      event_id: uuid(),
      type,
      anonymous_id: get('anonymous'),
      user_id: get('user'),
      session_id,
      event_time: new Date(now).toISOString(),
      url: location.href,
      title: document.title,
      library: 'footfall.js',
      dropped: dropped || undefined,
      ...fields,
    });
    write(queue);
    dropped = 0;
    plan();
  };
  const where = () => (config.hash == 'on' ? location.href : location.href.split('#')[0]);
  const page = (properties) => {
    clearTimeout(isMoving);
    isMoving = 0;
    seen = where();
    emit('page_view', { referrer, locale: navigator.language, screen: screen.width + 'x' + screen.height, properties });
    referrer = location.href;
  };
  // The title of a page that a script makes comes after its address: wait for it, but not past the next event.
  const moved = () => {
    if (where() != seen && !isMoving) isMoving = setTimeout(page);
  };
  const arrive = () => isMoving && page();

  const textOf = (node) =>
    node.nodeType == 3
      ? node.data
      : node.nodeType != 1 || node.matches(SECRET + ',script,style')
        ? ''
        : [...node.childNodes].map(textOf).join(' ');
  const pathOf = (node) => {
    const parts = [];
    for (let id; node && parts.length < 3 && !id; node = node.parentElement) {
      id = node.getAttribute('id');
      parts.unshift(node.localName + (id ? '#' + id : [...node.classList].slice(0, 2).map((name) => '.' + name).join('')));
    }
    return parts.join(' > ').slice(0, 200);
  };
  const click = ({ target }) => {
    const hit = target.closest && target.closest(CLICKABLE);
    if (!hit || target.closest(FIELD)) return;
    const link = hit.closest('a');
    arrive();
    emit('click', {
      name: hit.getAttribute('data-footfall') || null,
      element: pathOf(hit),
      element_text: (textOf(hit).replace(/\s+/g, ' ').trim() || hit.getAttribute('aria-label') || '').slice(0, 100),
      // That of a link in a drawing is an object.
      element_href: link && '' + (link.href.baseVal || link.href),
    });
    // The page may be about to go.
    if (link) send();
  };

  // --- What a page may call.

  const calls = {
    page,
    track: (name, properties) => emit('track', { name, properties }),
    identify(id, properties) {
      if (!allowed()) return;
      if (id != null) set('user', '' + id);
      emit('identify', { properties });
    },
    reset: () => forget(['user', 'anonymous', 'session']),
    consent(isGiven) {
      if (refuses) return;
      const before = allowed();
      if (!isGiven) forget(names());
      set('consent', isGiven ? '1' : '0');
      if (!before && allowed()) {
        adopt();
        if (counts) page();
      }
    },
  };
  const early = api.q || [];
  Object.keys(calls).map((name) => {
    api[name] = (...values) => {
      // Whatever goes wrong here is not the page's problem.
      try {
        if (name != 'page') arrive();
        calls[name](...values);
      } catch (error) {
        console.error(error);
      }
    };
  });

  const start = () => {
    if (refuses) forget(names());
    addEventListener('storage', ({ key }) => {
      if (key == PREFIX + CLAIM + mine) set(CLAIM + mine);
      if (key == PREFIX + 'consent' && !ready) adopt();
    });
    addEventListener('online', () => {
      if (!lastStatus) notBefore = 0;
      send();
    });
    addEventListener('visibilitychange', () => document.hidden && send());
    addEventListener('pagehide', () => {
      arrive();
      send(1);
      if (read().length) set(CLAIM + mine, 1);
    });
    addEventListener('pageshow', ({ persisted }) => {
      if (!persisted) return;
      set(CLAIM + mine);
      if (counts) page();
    });
    if (config.clicks != 'off') document.addEventListener('click', click, true);
    adopt();
    if (counts) {
      for (const name of ['pushState', 'replaceState']) {
        const original = history[name];
        history[name] = function () {
          // A page that is left at once was a page: its view is told while the address is still its own.
          arrive();
          const result = original.apply(this, arguments);
          moved();
          return result;
        };
      }
      addEventListener('popstate', moved);
      page();
    }
    early.map(([name, values]) => api[name]?.(...values));
  };
  if (document.prerendering) document.addEventListener('prerenderingchange', start, { once: true });
  else start();
})();
