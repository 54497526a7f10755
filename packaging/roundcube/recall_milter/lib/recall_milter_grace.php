<?php

/** A person's own choice of how long their mail waits, where the site allows one. It is kept by the gateway. */
class recall_milter_grace
{
    /** What is offered, in seconds, as far as the site's range has it. */
    const STEPS = [0, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400];

    private $plugin;
    private $api;

    public function __construct(recall_milter $plugin, recall_milter_api $api)
    {
        $this->plugin = $plugin;
        $this->api    = $api;
    }

    /** Returns a block for Roundcube's preferences; null: there is nothing to choose, or nobody knows. */
    public function block()
    {
        try {
            $me = $this->api->me();
        } catch (recall_milter_away $e) {
            return null;
        }
        if (!isset($me['grace_range'][1])) {
            return null;
        }
        $own    = isset($me['grace']) ? self::seconds($me['grace']) : null;
        $select = new html_select(['name' => '_recall_milter_grace', 'id' => 'recall-milter-grace']);
        $select->add($this->plugin->gettext('grace-default'), '');
        list($least, $most) = array_map([self::class, 'seconds'], $me['grace_range']);
        foreach (self::choices($least, $most, $own) as $seconds) {
            $select->add($this->name($seconds), $seconds . 's');
        }
        $title = html::label('recall-milter-grace', rcube::Q($this->plugin->gettext('grace')));
        return [
            'name'    => rcube::Q($this->plugin->gettext('name')),
            'options' => ['grace' => ['title' => $title, 'content' => $select->show($own === null ? '' : $own . 's')]],
        ];
    }

    /** Tells the gateway what was chosen, and says whether it agreed. Empty: as the site sets it. */
    public function choose(string $grace): bool
    {
        try {
            return preg_match('/^(\d{1,6}s)?$/D', $grace) && $this->api->choose($grace);
        } catch (recall_milter_away $e) {
            return false;
        }
    }

    /** Lists the seconds that are offered in a range: its ends, the steps within, and what was chosen before. */
    public static function choices(int $least, int $most, $own): array
    {
        $all = array_filter(self::STEPS, function ($seconds) use ($least, $most) {
            return $least < $seconds && $seconds < $most;
        });
        array_push($all, $least, $most, ...($own === null ? [] : [$own]));
        $all = array_unique($all);
        sort($all);
        return $all;
    }

    /** Reads a duration as the API writes it: 1h0m0s, rounded to seconds. */
    public static function seconds(string $duration): int
    {
        $units = ['h' => 3600, 'm' => 60, 's' => 1, 'ms' => 0.001];
        preg_match_all('/(\d+(?:\.\d+)?)(h|ms|m|s)/', $duration, $parts, PREG_SET_ORDER);
        return (int) round(array_sum(array_map(function ($part) use ($units) {
            return $part[1] * $units[$part[2]];
        }, $parts)));
    }

    private function name(int $seconds): string
    {
        foreach (['h' => 3600, 'min' => 60] as $unit => $size) {
            if ($seconds >= $size && $seconds % $size === 0) {
                return $this->plugin->gettext(['name' => 'span-' . $unit, 'vars' => ['n' => $seconds / $size]]);
            }
        }
        return $seconds === 0 ? $this->plugin->gettext('grace-none')
            : $this->plugin->gettext(['name' => 'span-s', 'vars' => ['n' => $seconds]]);
    }
}
