/// <reference types="vite/client" />
import type { t } from './lib/i18n'
import type { visible } from './lib/text'

declare module 'vue' {
  interface ComponentCustomProperties {
    /** Words of the page, in its language. */
    t: typeof t
    /** A text that somebody else wrote, with what hides in it made visible. */
    v: typeof visible
  }
}

export {}
