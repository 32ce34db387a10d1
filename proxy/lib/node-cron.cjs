/** node-cron when it is needed and not before: loading it takes 10 ms, and few set ROTATE_SCHEDULE. */
exports.load = () => require('node-cron')
