// The profile that this page is under: what lists and finds tools shows only what it allows.
import { ref } from 'vue'
import { recall, remember } from './i18n'

export const profile = ref(recall('aiw.profile') ?? '')

export function useProfile(name: string): void {
  profile.value = name
  remember('aiw.profile', name || null)
}
