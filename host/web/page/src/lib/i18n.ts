// Three flat tables of words. English is the one that the others are checked against, and is always there.
import { ref, shallowRef } from 'vue'
import { en, type Key, type Words } from '../lang/en'

export type { Key }
export type Language = 'en' | 'zh' | 'ja'

export const LANGUAGES: Record<Language, string> = { en: 'English', zh: '中文', ja: '日本語' }

export const language = ref<Language>('en')
const table = shallowRef<Words>(en)

/** Returns the words of a key, with `{name}` replaced. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return table.value[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

/** Changes the language of the page, and remembers it. */
export async function speak(wanted: Language): Promise<void> {
  if (wanted === 'zh') table.value = (await import('../lang/zh')).zh
  else if (wanted === 'ja') table.value = (await import('../lang/ja')).ja
  else table.value = en
  language.value = wanted
  document.documentElement.lang = { en: 'en', zh: 'zh-CN', ja: 'ja' }[wanted]
  remember('aiw.language', wanted)
}

/** Returns the language that was chosen, or the browser's if the page has it. */
export function usualLanguage(): Language {
  const wanted = [recall('aiw.language'), ...navigator.languages.map((tag) => tag.slice(0, 2))]
  return wanted.find((tag): tag is Language => tag !== null && tag in LANGUAGES) ?? 'en'
}

/** Keeps a word in the browser. One that keeps nothing is no error. */
export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name)
    else localStorage.setItem(name, value)
  } catch {
    // The choice lasts as long as the page.
  }
}

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}
