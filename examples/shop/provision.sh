#!/bin/sh
# What Elasticsearch needs before others come: a password and keys, templates and roles. What is there already stays.

set -eu

python /shop/provision.py /keys/logstash/logstash.key
clusterlog setup elasticsearch --yes --keys ship --keys-to /keys/ship
clusterlog setup elasticsearch --yes --keys read --keys-to /keys/read
