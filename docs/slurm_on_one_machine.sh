#!/usr/bin/env bash
# A real SLURM with one node on this Debian or Ubuntu machine, for tests. As root:
#   docs/slurm_on_one_machine.sh up    installs and starts it: partition `debug`, all processors
#   docs/slurm_on_one_machine.sh down  stops it
set -euo pipefail
state=/tmp/slurm-one-machine

up() {
  if ! command -v slurmctld > /dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge > /dev/null
  fi
  down 2> /dev/null || true
  mkdir -p "$state"/{ctld,d} /run/munge /etc/slurm
  [ -s /etc/munge/munge.key ] || (umask 077 && head -c 1024 /dev/urandom > /etc/munge/munge.key)
  chown -R munge: /etc/munge /run/munge /var/lib/munge /var/log/munge
  runuser -u munge -- /usr/sbin/munged
  host=$(hostname -s)
  cat > /etc/slurm/slurm.conf << END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldLogFile=$state/ctld.log
SlurmdLogFile=$state/d.log
SlurmctldPidFile=$state/ctld.pid
SlurmdPidFile=$state/d.pid
KillWait=10
OverTimeLimit=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
  slurmctld
  slurmd
  for _ in $(seq 60); do
    if sinfo --noheader --format=%t 2> /dev/null | grep -q idle; then
      sinfo
      return
    fi
    sleep 0.5
  done
  echo "SLURM did not start; see $state/ctld.log and $state/d.log" >&2
  exit 1
}

down() {
  scancel --state=PENDING,RUNNING --user=root 2> /dev/null || true
  pkill slurmd || true
  pkill slurmctld || true
  pkill munged || true
  sleep 1
  rm -rf "$state"
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  *) sed -n '2,4s/^# //p' "$0" && exit 2 ;;
esac
