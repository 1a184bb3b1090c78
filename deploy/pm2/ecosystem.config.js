// Yett under PM2, for teams that keep it. PM2 watches one process, Yett's supervisor, which runs the
// workers on one set of sockets: PM2's own cluster mode is for Node.js programs.
//
//   pm2 start ecosystem.config.js                    (production: --env production)
//   pm2 sendSignal SIGHUP yett                       takes the configuration anew, drops nothing
//   pm2 sendSignal SIGUSR2 yett                      the program on disk takes over, drops nothing
//   pm2 stop yett                                    drains
//
// End it by `pm2 stop`: after `yett stop`, PM2 starts it again. `pm2 restart` and `pm2 reload`
// stop the gateway and start it again: for a moment nobody answers. yett reload, restart, scale,
// status, logs and monit work beside PM2 as they do without.
module.exports = {
  apps: [
    {
      name: 'yett',
      script: process.env.YETT_BIN || 'yett',
      args: ['start', '--foreground', '--name', 'yett', '-i', '2'],
      interpreter: 'none',
      exec_mode: 'fork',
      instances: 1,
      wait_ready: true, // the supervisor says so when its workers serve
      listen_timeout: 30000,
      kill_timeout: 60000, // longer than shutdown.delay, grace and tunnels together
      max_restarts: 10,
      exp_backoff_restart_delay: 100,
      treekill: false, // the supervisor stops its workers, one process sees to the order
      env: { NODE_ENV: 'development' },
      env_production: { NODE_ENV: 'production' },
    },
  ],
};
