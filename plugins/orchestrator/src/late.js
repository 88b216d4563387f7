// What few scripts use, in the language itself. It is compiled when a script first asks for one of them.
// URLSearchParams: https://url.spec.whatwg.org/#interface-urlsearchparams
// AbortController, AbortSignal, Event, EventTarget: https://dom.spec.whatwg.org/
(() => {
  const encode = (text) => {
    const bytes = encodeURIComponent(text.toWellFormed());
    return bytes.replace(/[!'()~]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase()).replace(/%20/g, '+');
  };
  const decode = (text) => {
    const bytes = [];
    const encoder = new TextEncoder();
    const plain = text.replaceAll('+', ' ');
    for (let at = 0; at < plain.length; at++) {
      const hex = plain[at] === '%' && /^[0-9a-fA-F]{2}$/.test(plain.slice(at + 1, at + 3));
      if (hex) {
        bytes.push(parseInt(plain.slice(at + 1, at + 3), 16));
        at += 2;
      } else {
        const c = String.fromCodePoint(plain.codePointAt(at));
        bytes.push(...encoder.encode(c));
        at += c.length - 1;
      }
    }
    return new TextDecoder().decode(new Uint8Array(bytes));
  };
  const parse = (text) =>
    text
      .split('&')
      .filter((pair) => pair !== '')
      .map((pair) => {
        const at = pair.indexOf('=');
        return at < 0 ? [decode(pair), ''] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
      });
  const pairOf = (pair) => {
    const both = [...pair];
    if (both.length !== 2) throw new TypeError('Each query pair must be an iterable [name, value] tuple');
    return both.map((part) => `${part}`.toWellFormed());
  };

  class URLSearchParams {
    #list = [];
    // The URL that it belongs to, and what that said last.
    #url;
    #seen;

    constructor(init = '') {
      if (init !== null && (typeof init === 'object' || typeof init === 'function')) {
        const isList = typeof init[Symbol.iterator] === 'function';
        this.#list = isList ? [...init].map(pairOf) : Object.entries(init).map(pairOf);
      } else {
        this.#list = parse(`${init}`.replace(/^\?/, ''));
      }
    }

    static of(url) {
      const query = new URLSearchParams(url.search);
      [query.#url, query.#seen] = [url, url.search];
      return query;
    }

    #all() {
      if (this.#url !== undefined && this.#url.search !== this.#seen) {
        this.#seen = this.#url.search;
        this.#list = parse(this.#seen.replace(/^\?/, ''));
      }
      return this.#list;
    }

    #changed() {
      if (this.#url === undefined) return;
      this.#url.search = this.toString();
      this.#seen = this.#url.search;
    }

    get size() {
      return this.#all().length;
    }

    append(name, value) {
      this.#all().push([`${name}`.toWellFormed(), `${value}`.toWellFormed()]);
      this.#changed();
    }

    delete(name, value) {
      this.#list = this.#all().filter(([key, one]) => key !== `${name}` || (value !== undefined && one !== `${value}`));
      this.#changed();
    }

    get(name) {
      return this.#all().find(([key]) => key === `${name}`)?.[1] ?? null;
    }

    getAll(name) {
      return this.#all().filter(([key]) => key === `${name}`).map(([, value]) => value);
    }

    has(name, value) {
      return this.#all().some(([key, one]) => key === `${name}` && (value === undefined || one === `${value}`));
    }

    set(name, value) {
      const [key, text] = [`${name}`.toWellFormed(), `${value}`.toWellFormed()];
      const at = this.#all().findIndex(([known]) => known === key);
      if (at < 0) {
        this.#all().push([key, text]);
      } else {
        this.#list = this.#all().filter(([known], place) => known !== key || place === at);
        this.#list[at] = [key, text];
      }
      this.#changed();
    }

    sort() {
      this.#all().sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
      this.#changed();
    }

    forEach(callback, self) {
      for (let at = 0; at < this.#all().length; at++) callback.call(self, this.#list[at][1], this.#list[at][0], this);
    }

    *entries() {
      for (let at = 0; at < this.#all().length; at++) yield [...this.#list[at]];
    }

    *keys() {
      for (const [key] of this.entries()) yield key;
    }

    *values() {
      for (const [, value] of this.entries()) yield value;
    }

    toString() {
      return this.#all().map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
    }
  }
  Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, {
    value: URLSearchParams.prototype.entries,
    writable: true,
    configurable: true,
  });
  Object.defineProperty(URLSearchParams.prototype, Symbol.toStringTag, { value: 'URLSearchParams', configurable: true });
  const ofUrl = URLSearchParams.of;
  delete URLSearchParams.of;

  class Event {
    #type;
    #stopped = false;
    #prevented = false;
    #cancelable;

    constructor(type, { cancelable = false } = {}) {
      this.#type = `${type}`;
      this.#cancelable = cancelable;
    }

    get type() {
      return this.#type;
    }

    get target() {
      return this._target ?? null;
    }

    get currentTarget() {
      return this._target ?? null;
    }

    get defaultPrevented() {
      return this.#prevented;
    }

    preventDefault() {
      this.#prevented ||= this.#cancelable;
    }

    stopImmediatePropagation() {
      this.#stopped = true;
    }

    stopPropagation() {}

    static isStopped(event) {
      return event.#stopped;
    }
  }
  const { isStopped } = Event;
  delete Event.isStopped;

  class EventTarget {
    #listeners = [];

    addEventListener(type, callback, options) {
      if (callback === null || callback === undefined) return;
      const { once = false, signal } = typeof options === 'object' && options !== null ? options : {};
      if (signal?.aborted || this.#listeners.some((known) => known.type === `${type}` && known.callback === callback)) return;
      this.#listeners.push({ type: `${type}`, callback, once });
      signal?.addEventListener('abort', () => this.removeEventListener(type, callback));
    }

    removeEventListener(type, callback) {
      this.#listeners = this.#listeners.filter((known) => known.type !== `${type}` || known.callback !== callback);
    }

    dispatchEvent(event) {
      Object.defineProperty(event, '_target', { value: this, configurable: true });
      for (const known of [...this.#listeners]) {
        if (known.type !== event.type || !this.#listeners.includes(known)) continue;
        if (known.once) this.removeEventListener(known.type, known.callback);
        try {
          typeof known.callback === 'function' ? known.callback.call(this, event) : known.callback.handleEvent(event);
        } catch (error) {
          // A listener that throws is not the dispatcher's affair.
          console.error('a listener threw', error);
        }
        if (isStopped(event)) break;
      }
      return !event.defaultPrevented;
    }
  }

  const named = (name, message) => {
    const error = new Error(message);
    Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
    return error;
  };
  let makes = false;
  let abort;

  class AbortSignal extends EventTarget {
    #aborted = false;
    #reason;
    #handler;

    constructor() {
      if (!makes) throw new TypeError('Illegal constructor');
      super();
    }

    static {
      abort = (signal, reason) => {
        if (signal.#aborted) return;
        signal.#aborted = true;
        signal.#reason = reason === undefined ? named('AbortError', 'This operation was aborted') : reason;
        signal.dispatchEvent(new Event('abort'));
      };
    }

    get onabort() {
      return this.#handler ?? null;
    }

    set onabort(handler) {
      // It has its turn from when it was first set.
      if (this.#handler === undefined) this.addEventListener('abort', (event) => this.#handler?.call(this, event));
      this.#handler = typeof handler === 'function' ? handler : null;
    }

    get aborted() {
      return this.#aborted;
    }

    get reason() {
      return this.#reason;
    }

    throwIfAborted() {
      if (this.#aborted) throw this.#reason;
    }

    static abort(reason) {
      const signal = make();
      abort(signal, reason);
      return signal;
    }

    static timeout(ms) {
      const signal = make();
      setTimeout(() => abort(signal, named('TimeoutError', 'The operation was aborted due to timeout')), ms);
      return signal;
    }

    static any(signals) {
      const signal = make();
      for (const one of signals) {
        if (one.aborted) {
          abort(signal, one.reason);
          break;
        }
        one.addEventListener('abort', () => abort(signal, one.reason));
      }
      return signal;
    }
  }
  const make = () => {
    makes = true;
    try {
      return new AbortSignal();
    } finally {
      makes = false;
    }
  };

  class AbortController {
    #signal = make();

    get signal() {
      return this.#signal;
    }

    abort(reason) {
      abort(this.#signal, reason);
    }
  }

  const queries = new WeakMap();
  const searchParams = function () {
    let query = queries.get(this);
    if (query === undefined) {
      query = ofUrl(this);
      queries.set(this, query);
    }
    return query;
  };
  return { URLSearchParams, Event, EventTarget, AbortSignal, AbortController, searchParams };
})()
