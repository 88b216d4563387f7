// What needs the person: for the overview, the title, the icon and, where they asked for it, notifications of the browser.
import { defineStore } from 'pinia'
import { computed, effectScope, ref, shallowRef, watch } from 'vue'
import { get, post } from '../lib/api'
import { recall, remember, t } from '../lib/i18n'
import { useLive, type Live } from '../lib/live'
import { visible } from '../lib/text'
import type { Attention } from '../types'

const NOTIFY = 'aiw.notify'

export const useAttention = defineStore('attention', () => {
  const live = shallowRef<Live<Attention> | null>(null)
  const items = computed(() => live.value?.data.value?.items ?? [])
  const muted = computed(() => live.value?.data.value?.muted ?? 0)
  const notifies = ref(recall(NOTIFY) === 'yes' && 'Notification' in window && Notification.permission === 'granted')

  /** Reads what needs the person, now and at each change. */
  function start(): void {
    if (live.value) return
    // It lives as long as the page.
    live.value =
      effectScope(true).run(() =>
        useLive<Attention>(['tasks', 'processes', 'servers', 'providers', 'usage', 'documents', 'events'], (signal) => get('/attention', {}, signal)),
      ) ?? null
    watch(items, (now, before) => {
      icon(now.length > 0)
      const known = new Set(before.map((item) => item.id))
      const fresh = now.filter((item) => !known.has(item.id))
      // Who looks at the page sees it there.
      if (!notifies.value || !document.hidden || fresh.length === 0) return
      const body = fresh.map((item) => visible(item.problem)).join('\n')
      new Notification(t('attention.count', { count: now.length }), { body, tag: 'aiw' })
    })
  }

  async function mute(id: string): Promise<void> {
    await post('/attention/mute', { ids: [id], muted: true })
    await live.value?.reload()
  }

  /** Turns notifications on, which the browser asks about, or off. */
  async function toggleNotifications(): Promise<void> {
    if (notifies.value) notifies.value = false
    else if ('Notification' in window) notifies.value = (await Notification.requestPermission()) === 'granted'
    remember(NOTIFY, notifies.value ? 'yes' : null)
  }

  return { items, muted, notifies, start, mute, toggleNotifications }
})

/** Shows in the icon of the tab whether something needs the person. */
function icon(needed: boolean): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]')
  if (link) link.href = needed ? './favicon-attention.svg' : './favicon.svg'
}
