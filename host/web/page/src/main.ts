// The code leaves the address before anything else sees it: the router reads the address as soon as it is made.
import { opened, take } from './lib/code'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { t } from './lib/i18n'
import { listenToKeys } from './lib/keys'
import { visible } from './lib/text'
import './lib/theme'
import { router } from './routes'
import { useSession } from './stores/session'
import './style.css'

const app = createApp(App).use(createPinia())
app.config.globalProperties.t = t
app.config.globalProperties.v = visible

// A fresh code that is pasted into an open tab is another session.
window.addEventListener('popstate', () => {
  const fresh = take()
  if (fresh !== null) void useSession().begin(fresh.code, fresh.project).then(() => location.reload())
})

void useSession().begin(opened?.code ?? null, opened?.project ?? null).then(() => {
  app.use(router).mount('#app')
  listenToKeys(router)
})
