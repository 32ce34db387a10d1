import type cron from 'node-cron'

export declare function load(): typeof cron
