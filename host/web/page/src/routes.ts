// The pages: each with its address, its key behind `g`, and the part of the menu that it is in.
import { createRouter, createWebHashHistory } from 'vue-router'
import type { Component } from 'vue'
import type { Key } from './lib/i18n'
import OverviewPage from './pages/OverviewPage.vue'
import {
  IconActivity,
  IconApi,
  IconCalendarEvent,
  IconChartBar,
  IconDashboard,
  IconFilter,
  IconGitBranch,
  IconFileText,
  IconHistory,
  IconListCheck,
  IconPackages,
  IconPlug,
  IconRefresh,
  IconRoute,
  IconServer,
  IconSettings,
  IconSitemap,
} from './icons'

export interface PageEntry {
  path: string
  key: string
  title: Key
  icon: Component
}

export const PAGES: PageEntry[] = [
  { path: '/', key: 'o', title: 'page.overview', icon: IconDashboard },
  { path: '/processes', key: 'p', title: 'page.processes', icon: IconActivity },
  { path: '/logs', key: 'l', title: 'page.logs', icon: IconFileText },
  { path: '/tasks', key: 't', title: 'page.tasks', icon: IconListCheck },
  { path: '/servers', key: 'm', title: 'page.servers', icon: IconServer },
  { path: '/routing', key: 'i', title: 'page.routing', icon: IconSitemap },
  { path: '/profiles', key: 'f', title: 'page.profiles', icon: IconFilter },
  { path: '/history', key: 'h', title: 'page.history', icon: IconHistory },
  { path: '/providers', key: 'v', title: 'page.providers', icon: IconApi },
  { path: '/usage', key: 'u', title: 'page.usage', icon: IconChartBar },
  { path: '/plugins', key: 'x', title: 'page.plugins', icon: IconPlug },
  { path: '/registries', key: 'r', title: 'page.registries', icon: IconPackages },
  { path: '/workflows', key: 'w', title: 'page.workflows', icon: IconRoute },
  { path: '/ci', key: 'c', title: 'page.ci', icon: IconGitBranch },
  { path: '/events', key: 'e', title: 'page.events', icon: IconCalendarEvent },
  { path: '/sync', key: 'y', title: 'page.sync', icon: IconRefresh },
  { path: '/settings', key: 's', title: 'page.settings', icon: IconSettings },
]

export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: '/', component: OverviewPage },
    { path: '/processes', component: () => import('./pages/ProcessesPage.vue') },
    { path: '/processes/:id', component: () => import('./pages/ProcessPage.vue'), props: true },
    { path: '/logs', component: () => import('./pages/LogsPage.vue') },
    { path: '/tasks', component: () => import('./pages/TasksPage.vue') },
    { path: '/tasks/:id', component: () => import('./pages/TaskPage.vue'), props: true },
    { path: '/servers', component: () => import('./pages/ServersPage.vue') },
    { path: '/servers/:name', component: () => import('./pages/ServerPage.vue'), props: true },
    { path: '/routing', component: () => import('./pages/RoutingPage.vue') },
    { path: '/profiles', component: () => import('./pages/ProfilesPage.vue') },
    { path: '/history', component: () => import('./pages/HistoryPage.vue') },
    { path: '/history/:id', component: () => import('./pages/SessionPage.vue'), props: true },
    { path: '/providers', component: () => import('./pages/ProvidersPage.vue') },
    { path: '/providers/:name', component: () => import('./pages/ProviderPage.vue'), props: true },
    { path: '/usage', component: () => import('./pages/UsagePage.vue') },
    { path: '/plugins', component: () => import('./pages/PluginsPage.vue') },
    { path: '/registries', component: () => import('./pages/RegistriesPage.vue') },
    { path: '/workflows', component: () => import('./pages/WorkflowsPage.vue') },
    { path: '/workflows/:name', component: () => import('./pages/WorkflowPage.vue'), props: true },
    { path: '/ci', component: () => import('./pages/CiPage.vue') },
    { path: '/events', component: () => import('./pages/EventsPage.vue') },
    { path: '/sync', component: () => import('./pages/SyncPage.vue') },
    { path: '/settings', component: () => import('./pages/SettingsPage.vue') },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
})
